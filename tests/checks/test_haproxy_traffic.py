"""Queues, limits, errors, and what HAProxy's resources say."""

from dataclasses import replace
from typing import Any

import pytest

from scaledoctor.sdk import Confidence, Reach, Severity, State, Window
from scaledoctor.sources.haproxy import HaproxyNow
from scaledoctor.sources.host import Processes
from scaledoctor.sources.host.processes import Process
from scaledoctor.sources.pgbouncer import PoolerPools
from scaledoctor.sources.pgbouncer.pools import pools_of
from scaledoctor_checks.balancing.haproxy_cpu import cpu_bound
from scaledoctor_checks.balancing.haproxy_errors import connect_errors, own_errors, server_errors
from scaledoctor_checks.balancing.haproxy_limits import maxconn_reached
from scaledoctor_checks.balancing.haproxy_queue import queueing, server_maxconn
from scaledoctor_checks.balancing.haproxy_use import backend, frontend, process
from tests.checks.haproxy_facts import Seen, Server, info, seen, server
from tests.checks.pg_facts import active, only, still
from tests.checks.pg_facts import waiting as blocked


def crowd(in_hand: float = 2.0, requests: int = 400, **changes: Any) -> list[Server]:
    return [server(f"s{i}", requests, in_hand, limit=2, placed=0, **changes) for i in (1, 2)]


@pytest.mark.parametrize(("waiting", "fires"), [(1.0, True), (0.9, False)])
def test_one_request_that_always_waits_is_a_queue(waiting: float, fires: bool) -> None:
    assert bool(list(queueing(*seen(*crowd(), waiting=waiting, samples=20), None))) is fires


@pytest.mark.parametrize(("in_hand", "fires"), [(9.0, True), (9.1, False)])
def test_a_tenth_of_the_time_must_be_spent_waiting(in_hand: float, fires: bool) -> None:
    servers = [server("s1", 100, in_hand), server("s2", 100, 9.0)]
    stats, now = seen(*servers, waiting=2.0, samples=10)
    assert bool(list(queueing(stats, now, None))) is fires


def test_a_burst_is_no_queue() -> None:
    """Forty waited in nine of twenty samples."""
    stats, now = seen(*crowd(), waiting=40.0, samples=20)
    calm = [replace(n, backends={"app": replace(n.backends["app"], queued=0)}) for n in now]
    mixed = [one if i < 9 else other for i, (one, other) in enumerate(zip(now, calm, strict=True))]
    assert not list(queueing(stats, Window.of(*mixed), None))
    assert list(queueing(stats, Window.of(*list(now)[:10], *calm[10:]), None))


def test_the_wait_is_told_and_points_at_the_backend() -> None:
    """8 wait at 80 requests per second: a tenth of a second each; they are served in 50 ms."""
    found = only(list(queueing(*seen(*crowd(), waiting=8.0), None)))
    assert found.subject == "app"
    assert "about 100 ms each, and are served in 50 ms" in found.summary
    assert found.severity is Severity.HIGH
    assert found.impact == pytest.approx(8 / 12)
    assert found.waits_for == {"haproxy.backend:app": 1.0}


def test_a_low_maxconn_is_named_while_the_servers_are_quick() -> None:
    """12 in hand and waiting, a quarter on top, over two servers: 8 each."""
    found = only(list(server_maxconn(*seen(*crowd(), waiting=8.0))))
    assert found.explains == {"haproxy.backend:app": pytest.approx(8 / 12)}
    assert "set maxconn server app/s1 8" in found.fixes[0].commands[0]
    assert "set maxconn server app/s1 2" in found.fixes[0].undo
    assert found.confidence is Confidence.MEDIUM


@pytest.mark.parametrize(
    "servers",
    [
        crowd(requests=90),
        crowd(in_hand=1.5),
        [*crowd(), server("s3", 0, 0.0, limit=2, status="DOWN")],
        [server("s1", 400, 2.0), *crowd()[1:]],
        [server("s1", 40, 2.0, limit=2, placed=0), *crowd(1.2)[1:]],
    ],
    ids=["slow: 0.22 s", "not full", "a third is down", "one has no limit", "one is slow"],
)
def test_a_queue_with_another_cause_is_not_the_limits(servers: list[Server]) -> None:
    stats, now = seen(*servers, waiting=8.0)
    assert list(queueing(stats, now, None))
    assert not list(server_maxconn(stats, now))


def at(*sessions: int, limit: int = 20, backend_load: float = 0.0) -> Seen:
    """A frontend whose sessions were these in the samples."""
    stats, now = seen(server("s1", 100, backend_load), limit=limit, samples=len(sessions))
    found = [
        replace(sample, sessions={"web": n})
        for sample, n in zip(now, sessions, strict=True)
    ]  # fmt: skip
    return stats, Window.of(*found)


@pytest.mark.parametrize(
    ("sessions", "fires"),
    [((19, 19, 5, 5), True), ((19, 5, 5, 5), False), ((18, 18, 18, 18), False)],
    ids=["half of the samples", "a quarter", "90 %"],
)
def test_a_frontend_is_full_at_95_percent_half_of_the_time(
    sessions: tuple[int, ...], fires: bool
) -> None:
    stats, now = at(*sessions)
    assert bool(list(maxconn_reached(now, stats.last, None))) is fires


def test_idle_connections_are_told_from_requests() -> None:
    """Few of 20 sessions have a request; then 16 do, and the frontend waits for the backend."""
    stats, now = at(20, 20, 20, 20, backend_load=2.0)
    found = only(list(maxconn_reached(now, stats.last, None)))
    assert found.subject == "frontend web"
    assert "90% of them are idle" in found.summary
    assert found.waits_for == {}
    assert "timeout http-keep-alive" in found.fixes[0].commands[1]
    stats, now = at(20, 20, 20, 20, backend_load=16.0)
    busy = only(list(maxconn_reached(now, stats.last, None)))
    assert busy.waits_for == {"haproxy.backend:app": 0.8}
    assert busy.explains == {"haproxy.frontend:web": 1.0}
    assert busy.impact == 1.0


def test_the_process_is_named_instead_of_frontends_with_its_limit() -> None:
    """A frontend without a maxconn of its own shows the global one."""
    stats, now = at(20, 20, 20, 20)
    found = only(list(maxconn_reached(now, stats.last, Window.of(info(limit=20)))))
    assert found.subject == "global"
    stats, now = at(5, 5)
    hit = Window.of(info(limit=20, reached=3), info(limit=20, reached=4))
    assert only(list(maxconn_reached(now, stats.last, hit))).subject == "global"
    still_ = Window.of(info(limit=20, reached=3), info(limit=20, reached=3))
    assert not list(maxconn_reached(now, stats.last, still_))


@pytest.mark.parametrize(
    ("errors", "severity"),
    [(9, None), (19, None), (20, Severity.MEDIUM), (99, Severity.MEDIUM), (100, Severity.HIGH)],
)
def test_5xx_from_one_percent_on(errors: int, severity: Severity | None) -> None:
    """Of 2,000 requests; both servers make them, so that the backend is named."""
    half = [server("s1", errors=errors // 2), server("s2", errors=errors - errors // 2)]
    found = list(server_errors(*seen(*half)))
    assert [f.severity for f in found] == ([] if severity is None else [severity])
    assert all(f.subject == "app" for f in found)


def test_the_server_that_fails_is_named() -> None:
    """It makes half of them or more, and three times as often as the others."""
    one = [server("s1", errors=30), server("s2", errors=90), server("s3", errors=0)]
    found = only(list(server_errors(*seen(*one))))
    assert found.subject == "app/s2"
    assert found.impact == pytest.approx(0.04)
    assert "set server app/s2 state drain" in found.fixes[0].commands[0]
    both = [server("s1", errors=40), server("s2", errors=50)]
    assert only(list(server_errors(*seen(*both)))).subject == "app"


@pytest.mark.parametrize(
    ("requests", "retries", "fires"),
    [(1000, 10, True), (1000, 9, False), (1200, 11, False), (1200, 12, True)],
)
def test_connections_fail_from_ten_and_one_percent_on(
    requests: int, retries: int, fires: bool
) -> None:
    servers = [server("s1"), server("s2", requests, retries=retries)]
    assert bool(list(connect_errors(*seen(*servers)))) is fires


def test_a_dead_server_that_still_gets_requests() -> None:
    """Never checked: a check is the second advice. All of its requests went elsewhere."""
    dead = server("s2", 500, 0.0, redispatches=500, status="no check", check="", code=None)
    found = only(list(connect_errors(*seen(server("s1", 500), dead))))
    assert found.subject == "app/s2"
    assert "never checked" in found.summary
    assert found.impact == pytest.approx(0.5)
    assert "state maint" in found.fixes[0].commands[0]
    assert "check inter" in found.fixes[1].commands[1]
    assert found.severity is Severity.HIGH


def test_an_accept_queue_that_runs_over() -> None:
    """It is up, and refuses a few: its queue or its workers."""
    found = only(list(connect_errors(*seen(server("s1"), server("s2", retries=30)))))
    assert "somaxconn" in found.fixes[0].commands[1]
    gone = server("s2", 30, status="DOWN", retries=30)
    assert not list(connect_errors(*seen(server("s1"), gone)))


def test_given_up_connections_explain_the_refusals() -> None:
    lost = server("s2", failed_connects=15, retries=45)
    found = only(list(connect_errors(*seen(server("s1"), lost, failed_connects=20))))
    assert found.explains == {"haproxy.backend:app": 0.75}


@pytest.mark.parametrize(("own", "fires"), [(20, True), (19, False)])
def test_haproxys_own_errors_are_those_of_no_server(own: int, fires: bool) -> None:
    """300 errors of the servers are not its own."""
    stats, now = seen(server("s1", errors=300), server("s2"), errors=300 + own,
                      failed_connects=own)  # fmt: skip
    assert bool(list(own_errors(stats, now))) is fires


def test_more_servers_where_the_database_was_looked_at() -> None:
    """12 requests for two servers of 2: 15 would need 8; nobody knows more without a database."""
    full = [server(f"s{i}", 100, 2.0, limit=2) for i in (1, 2)]
    window = seen(*full, waiting=8.0)
    known = only(list(queueing(*window, still(samples=21))))
    assert [fix.title for fix in known.fixes] == [
        "Scale out: 8 servers in backend app instead of 2"
    ]
    assert "server NEW ADDRESS:PORT check maxconn 2" in known.fixes[0].commands
    blind = only(list(queueing(*window, None)))
    assert "scan it together" in blind.fixes[0].title
    assert blind.fixes[1:] == known.fixes


def test_requests_that_queue_in_vain_are_told_by_the_queue_alone() -> None:
    """10 wait for two servers; the 503 are its end. 504 beside them are told all the same."""
    full = [server(f"s{i}", 100, 2.0, limit=2) for i in (1, 2)]
    stats, now = seen(*full, waiting=10.0, requests=300, errors=100, failed_connects=100)
    assert not list(own_errors(stats, now))
    queue = only(list(queueing(stats, now, None)))
    assert "100 of 300 got 503" in queue.summary
    assert queue.impact == pytest.approx(10 / 14)
    refused = seen(*full, waiting=1.0, requests=300, errors=250, failed_connects=250)
    assert only(list(queueing(*refused, None))).impact == pytest.approx(250 / 300)
    late = [server("s1", 100, 2.0, limit=2), server("s2", 100, 2.0, limit=2, failed_answers=50)]
    both = seen(*late, waiting=10.0, requests=300, errors=150, failed_connects=100)
    found = only(list(own_errors(*both)))
    assert (found.subject, found.summary.split(" of ")[0]) == ("app/s2", "HAProxy answered 50")
    assert "502 or 504" in found.summary


@pytest.mark.parametrize(("in_hand", "follows"), [(2.0, False), (2.1, True)])
def test_a_server_that_fails_late_follows_from_what_it_waits_for(
    in_hand: float, follows: bool
) -> None:
    """Twice as long as the others' 1 in hand is the edge; one that fails at once is its own."""
    servers = [server("s1", 1000, 1.0), server("s2", 1000, in_hand, errors=200)]
    found = only(list(server_errors(*seen(*servers, samples=20))))
    assert found.subject == "app/s2"
    assert found.waits_for == ({"haproxy.backend:app": 1.0} if follows else {})


def test_late_answers_name_their_server() -> None:
    """504 for what s2 did not answer in time, 503 for what found no room."""
    late = [server("s1"), server("s2", failed_answers=150)]
    found = only(list(own_errors(*seen(*late, errors=150))))
    assert found.subject == "app/s2"
    assert "502 or 504" in found.summary
    assert found.waits_for == {"haproxy.backend:app": 1.0}
    assert found.severity is Severity.HIGH
    refused = only(list(own_errors(*seen(*late[:1], errors=40, failed_connects=40))))
    assert (refused.subject, refused.severity) == ("app", Severity.MEDIUM)
    assert "with 503" in refused.summary


@pytest.mark.parametrize(
    ("in_hand", "state"), [(1.4, State.OK), (1.5, State.BUSY), (1.8, State.SATURATED)]
)
def test_a_backend_is_full_by_its_servers_maxconn(in_hand: float, state: State) -> None:
    stats, now = seen(*crowd(in_hand), samples=20)
    (use,) = backend(now, stats, None, None, None, None)
    assert use.subject == "app"
    assert use.used == pytest.approx(2 * in_hand)
    assert (use.limit, use.state) == (4.0, state)


def test_a_backend_without_maxconn_has_no_limit() -> None:
    """The CSV shows one, fullconn, and it limits nothing."""
    stats, now = seen(server("s1", limit=5), server("s2"))
    (use,) = backend(now, stats, None, None, None, None)
    assert use.limit is None


def test_what_a_dead_server_keeps_takes_no_room_in_the_others() -> None:
    """s2 hangs with its two requests; s1 has room for two and is half full."""
    dead = server("s2", 100, 2.0, limit=2, status="DOWN")
    stats, now = seen(server("s1", 100, 1.0, limit=2), dead)
    (use,) = backend(now, stats, None, None, None, None)
    assert (use.used, use.limit) == (1.0, 2.0)


@pytest.mark.parametrize(("refused", "errors"), [(20, 20.0), (19, 0.0)])
def test_refused_requests_saturate_it_from_one_percent(refused: int, errors: float) -> None:
    """Of 2,000 with a limit; late answers of servers are not refusals."""
    stats, now = seen(server("s1", limit=50), server("s2", limit=50), errors=500,
                      failed_connects=refused, failed_answers=480)  # fmt: skip
    (use,) = backend(now, stats, None, None, None, None)
    assert use.errors == errors
    assert (use.state is State.SATURATED) is bool(errors)


def test_requests_that_wait_for_a_lock_are_counted() -> None:
    """Two requests in hand, and one session that waits."""
    stats, now = seen(server("s1", in_hand=2.0))
    (use,) = backend(now, stats, None, still(active(1), blocked(2, 1)), None, None)
    assert use.waits_for == {"postgres.locks": 0.5}
    idle = seen(server("s1", in_hand=0.0))
    (use,) = backend(idle[1], idle[0], None, still(blocked(2, 1)), None, None)
    assert use.waits_for == {}


def test_requests_that_wait_for_a_pool_are_counted_by_pool() -> None:
    """Four in hand; three clients wait for one pool and one for another, in every other sample."""
    stats, now = seen(server("s1", in_hand=4.0))
    pools = pools_of(
        [{"database": "shop", "user": "web", "cl_waiting": 3},
         {"database": "shop", "user": "jobs", "cl_waiting": 1}, {"database": "x", "user": "y"}]
    )  # fmt: skip
    (use,) = backend(now, stats, Window.of(pools, PoolerPools(())), None, None, None)
    assert use.waits_for == {"pgbouncer.pool:shop/web": 0.375, "pgbouncer.pool:shop/jobs": 0.125}


@pytest.mark.parametrize(("port", "share"), [(0, 0.75), (8404, 0.75), (None, None)])
def test_requests_that_wait_for_a_core_are_counted_where_they_are_served(
    port: int | None, share: float | None
) -> None:
    """Three tasks of the service wait for a core all the time, and four requests are in hand."""
    stats, now = seen(server("s1", in_hand=4.0))
    begin = Process(7, "haproxy", cpu=0.0, waited=0.0, own=False, ran=0.0)
    end = replace(begin, cpu=10.0, waited=30.0, ran=10.0)
    busy = Window(((0.0, Processes((begin,))), (10.0, Processes((end,)))))
    reach = Reach(True, 0.01, local_port=port)
    (use,) = backend(now, stats, None, None, busy, reach)
    assert use.waits_for.get("host.cpu") == share


def test_frontends_and_the_process_have_sessions() -> None:
    """The process's are those of all frontends, or what it says itself when that is more."""
    stats, now = at(5, 15, 10, backend_load=5.0)
    (use,) = frontend(now, stats.last)
    assert (use.used, use.limit, use.state) == (15.0, 20.0, State.BUSY)
    assert use.waits_for == {"haproxy.backend:app": 0.5}
    whole = process(Window.of(info(limit=20, current=12)), now)
    assert whole is not None
    assert whole.used == 15.0
    assert process(Window.of(info(limit=None)), now) is None


def test_a_hundred_backends_are_enough_for_the_table() -> None:
    stats, now = seen(server("s1", in_hand=0.0))
    many = tuple(replace(stats.last.backends[0], name=f"b{i}") for i in range(300))
    window = Window.of(replace(stats.last, backends=many))
    busy = HaproxyNow({}, {"b7": now.last.backends["app"]}, ())
    assert len(list(backend(Window.of(busy), window, None, None, None, None))) == 100


@pytest.mark.parametrize(
    ("edges", "severity"),
    [((0.2, 0.2), None), ((0.1, 0.25), None), ((0.1, 0.19), Severity.MEDIUM),
     ((0.05, 0.04), Severity.MEDIUM), ((0.0, 0.04), Severity.HIGH)],
)  # fmt: skip
def test_threads_without_time(edges: tuple[float, float], severity: Severity | None) -> None:
    """Both edges are below a fifth; its page and old versions may not tell."""
    window = Window.of(*(info(idle=one, threads=1) for one in edges))
    found = list(cpu_bound(window, None))
    assert [f.severity for f in found] == ([severity] if severity else [])
    assert all("1 thread had" in f.summary and "its time left" in f.summary for f in found)
    assert all("# nbthread 1   (remove)" in f.fixes[0].commands for f in found)
    assert not list(cpu_bound(Window.of(info(idle=None), info(idle=None)), None))


def test_threads_that_others_keep_from_the_cores() -> None:
    """On this machine it may be somebody else who takes them."""
    window = Window.of(info(idle=0.1, threads=2), info(idle=0.1, threads=2))
    here, there = Reach(ok=True, seconds=0.01, local_port=8404), Reach(ok=True, seconds=0.01)
    assert only(list(cpu_bound(window, here))).waits_for == {"host.cpu": 1.0}
    assert only(list(cpu_bound(window, there))).waits_for == {}
