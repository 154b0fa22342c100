"""Logs that real nginx and HAProxy write under a small load, from the line to the finding."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import pytest

from scaledoctor.collect import collect
from scaledoctor.demo.servers import balancer_cfg, haproxy
from scaledoctor.demo.servers.child import free_port
from scaledoctor.examine import Examination, examine
from scaledoctor.redact import Redactor
from scaledoctor.registry import load as load_plugins
from scaledoctor.sdk import Finding
from scaledoctor.sources.access_log import AccessLog
from scaledoctor.targets import targets
from tests.logs.places import BARE, INGRESS, JSON, TIMED, application, ask, load, nginx
from tests.servers import needs_servers

pytestmark = pytest.mark.live

COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent"'
)
FORMATS = {"timed": TIMED, "bare": BARE, "ingress": INGRESS, "json": JSON, "plain": COMBINED}

ORDERS = [f"/orders/{i}?wait=0.005" for i in range(120)]
EXPORTS = ["/reports/export?wait=1.1"] * 22

HAPROXY_LOG = {"extra_global": ("log stdout format raw local0",),
               "frontend": ("option httplog", "log global")}  # fmt: skip


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as entered, needs_servers():
        yield entered


def scan(log: Path, window: float = 0.0) -> tuple[AccessLog, Examination]:
    """Collect from a log alone and run every check on it."""
    registry = load_plugins()
    given = [t for t in targets({"access-log": [str(log)]}, {}) if t.kind == "access-log"]
    snapshot = collect(given, registry, Redactor(), window)
    seen = examine(snapshot, registry)
    assert not seen.failures
    found = snapshot.records[0].samples["AccessLog"][-1][1]
    assert isinstance(found, AccessLog)
    return found, seen


def by_check(seen: Examination) -> dict[str, Finding]:
    """The findings of the access log, by check."""
    return {f.check: f for f in seen.findings}


def settled(log: Path, lines: int) -> None:
    """Wait until a log has so many lines."""
    deadline = time.monotonic() + 20
    while log.read_bytes().count(b"\n") < lines and time.monotonic() < deadline:
        time.sleep(0.02)


def test_a_healthy_nginx_is_quiet(stack: ExitStack) -> None:
    """While its log grows."""
    ports = [stack.enter_context(application()) for _ in range(2)]
    server = stack.enter_context(nginx(ports))
    thread = Thread(target=load, args=(server.port, ORDERS * 3))
    thread.start()
    found, seen = scan(server.logs["timed"], 2.0)
    thread.join()
    assert found.live
    assert found.unread == 0
    assert seen.findings == []
    (use,) = [u for u in seen.uses if u.resource == "app.workers"]
    assert 0 < use.used < 10
    assert use.limit is None


def test_every_format_tells_the_same(stack: ExitStack) -> None:
    """The same requests in five formats: a report, errors of all makers, a dead server."""
    alive, dead = stack.enter_context(application()), free_port()
    server = stack.enter_context(nginx([alive, dead], FORMATS))
    paths = [*ORDERS, *["/orders/7?status=500"] * 6, *["/own/limit"] * 5]
    load(server.port, paths)
    assert ask(server.port, "/orders/8?wait=1.5", patience=0.2) == 0
    settled(server.logs["plain"], len(paths) + 1)
    told = {name: saved(path) for name, path in server.logs.items()}
    for name in ("timed", "bare", "ingress", "json"):
        found = told[name]
        (orders,) = [r for r in found.routes if r.name == "GET /orders/:id"]
        assert (orders.requests, orders.errors, orders.answered) == (127, 6, 6)
        assert orders.aborted == 1
        (own,) = [r for r in found.routes if r.name == "GET /own/limit"]
        assert (own.errors, own.answered, own.unanswered) == (5, 0, 0)
        assert orders.hidden > 30
        servers = {s.name: s for s in found.servers}
        assert servers[f"127.0.0.1:{dead}"].handled == 0
        assert servers[f"127.0.0.1:{dead}"].failed >= orders.hidden
        assert found.upstream_timed
        assert found.timed
    assert told["plain"].requests == told["timed"].requests == len(paths) + 1
    assert not any((told["plain"].timed, told["plain"].upstream_timed, told["plain"].answers))
    json, timed = (told[n].routes for n in ("json", "timed"))
    assert [(r.name, r.requests, r.errors) for r in json] == [
        (r.name, r.requests, r.errors) for r in timed
    ]


def saved(log: Path) -> AccessLog:
    found, _ = scan(log)
    assert not found.live
    return found


def test_a_report_in_the_request_and_a_dead_server_are_found(stack: ExitStack) -> None:
    """nginx hides the dead server; the report keeps workers busy."""
    alive, dead = stack.enter_context(application()), free_port()
    server = stack.enter_context(nginx([alive, dead]))
    mixed = [path for pair in zip(EXPORTS, [ORDERS[:9]] * 22, strict=True)
             for path in (pair[0], *pair[1])]  # fmt: skip
    load(server.port, mixed, clients=8)
    _, seen = scan(server.logs["timed"])
    found = by_check(seen)
    offload = found["access.offload-route"]
    assert offload.subject == "GET /reports/export"
    assert offload.explains["app.workers"] > 0.8
    assert found["access.hidden-failures"].subject == f"127.0.0.1:{dead}"
    assert "access.errors" not in found


def test_a_slow_server_among_fast_ones_is_found(stack: ExitStack) -> None:
    ports = [stack.enter_context(application(delay)) for delay in (0.0, 0.0, 0.15)]
    server = stack.enter_context(nginx(ports))
    load(server.port, ORDERS * 3, clients=12)
    _, seen = scan(server.logs["timed"])
    assert by_check(seen)["access.slow-upstream"].subject == f"127.0.0.1:{ports[2]}"


def test_no_server_is_up(stack: ExitStack) -> None:
    """Errors for want of an answer, and not the application's."""
    server = stack.enter_context(nginx([free_port(), free_port()]))
    load(server.port, ORDERS * 2)
    settled(server.logs["timed"], 240)
    _, seen = scan(server.logs["timed"])
    found = by_check(seen)["access.errors"]
    assert "240 for want of an answer from the application" in found.summary


def test_haproxy_tells_queue_retries_and_errors(stack: ExitStack) -> None:
    """One server is dead, and the reports queue for a server of one connection."""
    alive, dead = stack.enter_context(application()), free_port()
    cfg = balancer_cfg(
        {
            "app": ("balance roundrobin", f"server s1 127.0.0.1:{alive}",
                    f"server s2 127.0.0.1:{dead}"),
            "reports": (f"server r1 127.0.0.1:{alive} maxconn 1",),
        },
        **HAPROXY_LOG,
    )  # fmt: skip
    balancer = stack.enter_context(haproxy(cfg))
    load(balancer.port, [*ORDERS, *["/orders/7?status=500"] * 6, *["/reports/export?wait=0.2"] * 8])
    settled(balancer.log, 134)
    found, seen = scan(balancer.log)
    assert found.format == "HAProxy httplog"
    routes = {r.name: r for r in found.routes}
    assert (routes["GET /orders/:id"].requests, routes["GET /orders/:id"].answered) == (126, 6)
    assert routes["GET /orders/:id"].hidden > 30
    assert routes["GET /reports/export"].spent >= 1.5
    assert found.waited > 0.5
    assert by_check(seen)["access.hidden-failures"].subject == "app"
    (use,) = [u for u in seen.uses if u.resource == "app.workers"]
    assert use.waiting > 0


def test_a_queue_that_times_out_is_the_balancers_error(stack: ExitStack) -> None:
    alive = stack.enter_context(application())
    cfg = balancer_cfg(
        {"app": (f"server s1 127.0.0.1:{alive} maxconn 1", "timeout queue 100ms")}, **HAPROXY_LOG
    )
    balancer = stack.enter_context(haproxy(cfg))
    load(balancer.port, ["/reports/export?wait=0.5"] * 12, clients=6)
    settled(balancer.log, 12)
    found = saved(balancer.log)
    (route,) = [r for r in found.routes if r.name == "GET /reports/export"]
    assert route.errors >= 6
    assert (route.answered, route.unanswered) == (0, 0)
