"""Sums by route and by server: who made an error, what retries hide, and bounds on memory."""

import pytest

from scaledoctor.logs import histogram
from scaledoctor.logs.access import tally as tally_module
from scaledoctor.logs.access.recognise import recognise
from scaledoctor.logs.access.servers import servers
from scaledoctor.logs.access.summary import routes
from scaledoctor.logs.access.tally import Tally
from tests.logs.lines import haproxy, many, nginx, tally


@pytest.mark.parametrize("seconds", [0.0002, 0.004, 0.05, 1.0, 59.0])
def test_a_percentile_is_off_by_five_per_cent_at_most(seconds: float) -> None:
    counts = histogram.Histogram()
    for _ in range(99):
        counts[histogram.bucket(seconds)] += 1
    counts[histogram.bucket(3600.0)] += 1
    assert histogram.percentile(counts, 0.5) == pytest.approx(seconds, rel=0.06, abs=0.0001)
    assert histogram.percentile(counts, 0.99) == pytest.approx(seconds, rel=0.06, abs=0.0001)
    assert histogram.percentile(counts, 1.0) > 3000
    assert histogram.percentile(histogram.Histogram(), 0.5) == 0.0


def test_times_and_percentiles_by_route() -> None:
    lines = [
        *many(lambda i: nginx(f"GET /orders/{i}", total="0.100", spent="0.090", second=i), 95),
        *many(lambda i: nginx(f"GET /orders/{i}", total="2.000", spent="1.500", second=i), 5),
        nginx("POST /login", total="0.010", spent="0.010"),
    ]
    found = tally(lines)
    orders, login = routes(found)
    assert (orders.name, orders.requests, login.name) == ("GET /orders/:id", 100, "POST /login")
    assert orders.seconds == pytest.approx(95 * 0.1 + 5 * 2)
    assert orders.spent == pytest.approx(95 * 0.09 + 5 * 1.5)
    assert orders.p50 == pytest.approx(0.1, rel=0.06)
    assert orders.p99 == pytest.approx(2.0, rel=0.06)
    assert found.first == 1_795_600_800
    assert (found.lines, found.understood) == (101, 101)


@pytest.mark.parametrize(
    ("line", "answered", "unanswered"),
    [
        (nginx(status=500), 1, 0),
        (nginx(status=503), 1, 0),
        (nginx(status=502), 0, 1),
        (nginx(status=504), 0, 1),
        (nginx(status=503, address="-", answers="-", spent="-"), 0, 0),
        (nginx(status=502, address="app", answers="502", spent="0.000"), 0, 0),  # no live upstreams
        (nginx(status=500, address="10.0.0.1:80, 10.0.0.2:80", answers="502, 500"), 1, 0),
        (haproxy(status=500), 1, 0),
        (haproxy(status=502), 1, 0),  # HAProxy's own would have a state
        (haproxy(status=502, state="PH--"), 0, 1),
        (haproxy(status=504, state="sH--", spent=-1), 0, 1),
        (haproxy(status=503, state="sQ--", server="<NOSRV>", spent=-1), 0, 0),
    ],
)
def test_who_made_an_error(line: str, answered: int, unanswered: int) -> None:
    plain = haproxy() if "haproxy" in line else nginx()
    found = routes(tally([line, *[plain] * 5]))[0]
    assert (found.errors, found.answered, found.unanswered) == (1, answered, unanswered)


def test_without_upstream_status_nobody_is_named() -> None:
    line = '::1 - - [25/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 500 1'
    found = routes(tally([line] * 3))[0]
    assert (found.errors, found.answered, found.unanswered) == (3, 0, 0)


def test_failures_that_a_retry_hides_are_counted_at_their_server() -> None:
    lines = [
        *many(lambda i: nginx(), 8),
        *many(
            lambda i: nginx(
                total="0.121", spent="0.001, 0.120", address="10.0.0.9:80, 10.0.0.1:80",
                answers="502, 200",
            ),
            3,
        ),
        nginx(status=502, address="10.0.0.9:80, 10.0.0.9:80", answers="502, 502",
              spent="0.000, 0.000"),
    ]  # fmt: skip
    found = tally(lines)
    (route,) = routes(found)
    assert (route.hidden, route.errors, route.unanswered) == (3, 1, 1)
    assert route.spent == pytest.approx(8 * 0.009 + 3 * 0.121)
    good, dead = servers(found)
    assert (good.name, good.tries, good.failed, good.handled) == ("10.0.0.1:80", 11, 0, 11)
    assert (dead.name, dead.tries, dead.failed, dead.errors) == ("10.0.0.9:80", 5, 4, 1)
    assert good.spent == pytest.approx(8 * 0.009 + 3 * 0.12)
    assert good.group == dead.group


def test_an_internal_redirect_is_no_failed_try() -> None:
    lines = [
        nginx(spent="0.001 : 0.120", address="10.0.0.1:80 : 10.0.0.2:81", answers="200 : 200"),
        *many(lambda i: nginx(), 3),
    ]
    assert routes(tally(lines))[0].hidden == 0


def test_haproxy_tells_how_often_it_tried_again_but_not_where() -> None:
    lines = [*many(lambda i: haproxy(retries="+1"), 4), *many(lambda i: haproxy(), 6)]
    found = tally(lines)
    assert routes(found)[0].hidden == 4
    by_name = {server.name: server for server in servers(found)}
    assert (by_name["app/?"].failed, by_name["app/?"].tries) == (4, 4)
    assert (by_name["app/s1"].failed, by_name["app/s1"].handled) == (0, 10)


def test_time_in_the_balancers_queue() -> None:
    assert tally([haproxy(waited=250), haproxy(waited=-1), haproxy()]).waited == 0.25


def test_servers_that_serve_other_routes_are_another_group() -> None:
    lines = [
        *many(lambda i: nginx("GET /a", address=f"10.0.0.{i % 2}:80"), 20),
        *many(lambda i: nginx("GET /static/x", address="10.0.1.1:80"), 20),
        *many(lambda i: nginx("GET /static/x", address="10.0.1.2:80"), 20),
        nginx("GET /", address="10.0.0.1:80"),
        nginx("GET /", address="10.0.1.1:80"),
    ]
    groups = {server.name: server.group for server in servers(tally(lines))}
    assert groups["10.0.0.0:80"] == groups["10.0.0.1:80"] != groups["10.0.1.1:80"]
    assert groups["10.0.1.1:80"] == groups["10.0.1.2:80"]


def test_a_server_is_compared_for_the_same_mix_of_routes() -> None:
    """It gets the reports, its peer the short pages: slower per request, but not slow."""
    lines = [
        *many(lambda i: nginx("GET /report", spent="1.000", address="10.0.0.1:80"), 30),
        *many(lambda i: nginx("GET /", spent="0.010", address="10.0.0.1:80"), 70),
        *many(lambda i: nginx("GET /report", spent="1.000", address="10.0.0.2:80"), 5),
        *many(lambda i: nginx("GET /", spent="0.010", address="10.0.0.2:80"), 95),
    ]
    for server in servers(tally(lines)):
        assert server.compared == 100
        assert server.took == pytest.approx(server.expected, rel=0.01)


def test_two_halves_of_a_log_in_any_order_are_the_whole() -> None:
    lines = many(
        lambda i: nginx(f"GET /{'abc'[i % 3]}/{i}", total=f"0.{i % 900:03}", second=i), 999
    )
    blocks = ["".join(f"{line}\n" for line in part).encode() for part in (lines[:400], lines[400:])]
    layout = recognise(blocks[0].splitlines())
    whole = tally(lines)
    backwards = Tally(layout)
    for block in reversed(blocks):
        backwards.add(block)
    assert routes(backwards) == routes(whole)
    assert servers(backwards) == servers(whole)
    assert (backwards.first, backwards.last) == (whole.first, whole.last)


def test_routes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that are asked often fill the table; what comes later is one route."""
    monkeypatch.setattr(tally_module, "MOST_ROUTES", 100)
    names = [f"GET /{'x' * (i % 20)}-{'y' * (i // 20)}/z" for i in range(200)]
    found = tally([nginx(name) for name in names for _ in range(4)])
    assert len(found.routes) <= 101
    assert found.routes["(other)"].requests == 400
    told = routes(found)
    assert len(told) <= 101
    assert sum(route.requests for route in told) == 800


def test_a_crowd_of_names_is_condensed_while_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "MOST_ROUTES", 100)
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = [f"{a}{b}name" for a in letters for b in letters]
    found = tally([nginx(f"GET /users/{name}") for name in names])
    found.condense()
    assert found.routes["GET /users/:name"].requests > 500
    assert sum(routed.requests for routed in found.routes.values()) == len(names)


def test_outcomes_of_one_route_are_bounded() -> None:
    lines = many(lambda i: nginx(address=f"10.0.{i // 250}.{i % 250}:80"), 2000)
    found = tally(lines)
    (routed,) = found.routes.values()
    assert len(routed.outcomes) <= 257
    assert routed.requests == 2000
    assert len(servers(found)) == 64


def test_one_request_counts_ten_minutes_at_most() -> None:
    """An open web socket is no day of work."""
    assert routes(tally([nginx(total="86400.000", spent="86400.000")] * 3))[0].spent == 1800


def test_versions_in_paths_stay_apart() -> None:
    lines = many(lambda i: nginx(f"GET /api/v{i % 2 + 1}/orders/{i}"), 100)
    assert {r.name: r.requests for r in routes(tally(lines))} == {
        "GET /api/v1/orders/:id": 50, "GET /api/v2/orders/:id": 50,
    }  # fmt: skip


def test_a_hostile_address_is_no_escape_code() -> None:
    lines = [haproxy(server="\x1b[31mx"), haproxy(), haproxy()]
    assert {s.name for s in servers(tally(lines))} == {"app/s1", "app/?[31mx"}
