"""Connections of nginx: dropped, taken, unseen; thresholds at their edges, then a real nginx."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace

import pytest

from scaledoctor.sdk import Confidence, Finding, Kind, Reach, Severity, State, Unavailable, Window
from scaledoctor.sources.host import HostInfo
from scaledoctor.sources.nginx import NginxServer, NginxStatus
from scaledoctor.sources.nginx_conf import Log, NginxConf, Pass, Place, Setting
from scaledoctor_checks.balancing.nginx import (
    connections,
    connections_exhausted,
    dropped_before,
    upstreams_unseen,
)
from tests.balancers import load_on, members, nginx, scan

HERE = Reach(ok=True, seconds=0.001, local_port=80)
AWAY = replace(HERE, local_port=None)
CLOSED = Reach(ok=False, seconds=0.1, category="dropped", message="closes them at once")
HOST = HostInfo(cores=2, memory=1, container=False, logical=4)
PLACE = Place("/etc/nginx/nginx.conf", 3)
PASS = Pass("http", "shop", "server a location /", Place("/etc/nginx/nginx.conf", 20))
QUIET = NginxStatus(1, 1000, 1000, 5000, 0, 1, 0)


def conf(slots: int, workers: str = "1", *passes: Pass) -> NginxConf:
    return NginxConf(
        1, (), Setting(workers, PLACE), Setting(str(slots), PLACE), None, (), passes or (PASS,)
    )


def busy(active: int, writing: int = 0, waiting: int = 0, lost: int = 0) -> Window[NginxStatus]:
    """A window of one second, 100 connections more, ``lost`` of them dropped."""
    last = NginxStatus(active, 1100, 1100 - lost, 5100, 0, writing, waiting)
    return Window(((0.0, QUIET), (1.0, last)))


def found(window: Window[NginxStatus] | None, settings: NginxConf | None = None) -> list[Finding]:
    return list(connections_exhausted(HERE, window, settings, None))


def test_quiet_with_room() -> None:
    assert found(busy(40, 40, 0), conf(1024)) == []
    assert found(busy(40, 40, 0)) == []


@pytest.mark.parametrize(("lost", "fires"), [(4, False), (5, True)])
def test_five_dropped_connections_are_no_accident(lost: int, fires: bool) -> None:
    assert bool(found(busy(10, lost=lost))) is fires


def test_dropped_by_share() -> None:
    window = Window(((0.0, QUIET), (1.0, replace(QUIET, accepts=2000, handled=1991))))
    assert found(window)[0].severity is Severity.HIGH
    window = Window(((0.0, QUIET), (1.0, replace(QUIET, accepts=2000, handled=1990))))
    (finding,) = found(window)
    assert finding.severity is Severity.CRITICAL
    assert finding.impact == pytest.approx(0.01)
    assert "dropped 10 of 1000 connections" in finding.summary


@pytest.mark.parametrize(("writing", "fires"), [(39, False), (40, True)])
def test_a_proxied_request_takes_two_slots(writing: int, fires: bool) -> None:
    """40 requests are 80 of 100 slots; idle connections beside them take none."""
    assert bool(found(busy(writing + 15, writing, 15), conf(100))) is fires


@pytest.mark.parametrize(("writing", "high"), [(94, False), (95, True)])
def test_nearly_full_is_high(writing: int, high: bool) -> None:
    (finding,) = found(busy(writing, writing), replace(conf(100), passes=()))
    assert (finding.severity is Severity.HIGH) is high


def test_without_a_proxy_it_takes_one() -> None:
    static = replace(conf(100), passes=())
    assert not found(busy(79, 79), static)
    assert found(busy(80, 80), static)


def test_the_fix_has_the_place_and_twice_the_peak() -> None:
    (finding,) = found(busy(1000, 1000), conf(1024))
    assert finding.fixes[0].commands == (
        "# /etc/nginx/nginx.conf:3",
        "worker_rlimit_nofile 8192;",
        "events { worker_connections 4096; }",
    )
    assert finding.explains == {"nginx.connections": 1.0}


def test_a_counter_that_began_anew_gives_no_drops() -> None:
    window = Window(((0.0, replace(QUIET, accepts=9000)), (1.0, QUIET)))
    assert found(window) == []


def test_when_our_own_connection_is_closed_nothing_was_counted() -> None:
    use = connections(CLOSED, None, None, None)
    assert use is not None
    assert use.state is State.SATURATED
    (finding,) = connections_exhausted(CLOSED, None, None, None)
    assert finding.confidence is Confidence.MEDIUM
    assert finding.severity is Severity.CRITICAL
    elsewhere = replace(CLOSED, category="refused")
    assert connections(elsewhere, None, None, None) is None
    with pytest.raises(Unavailable, match="closes them at once"):  # not seen is not ruled out
        list(connections_exhausted(elsewhere, None, None, None))


@pytest.mark.parametrize(
    ("workers", "reach", "host", "limit"),
    [
        ("2", AWAY, None, 200.0),
        ("auto", HERE, HOST, 400.0),
        ("auto", HERE, None, None),
        ("auto", AWAY, HOST, None),
    ],
)
def test_auto_workers_are_the_cores_of_a_local_nginx(
    workers: str, reach: Reach, host: HostInfo | None, limit: float | None
) -> None:
    use = connections(reach, busy(10, 5), conf(100, workers), host)
    assert use is not None
    assert (use.used, use.limit) == (15.0, limit)
    assert ("number of nginx's cores" in use.detail) is (limit is None)


@pytest.mark.parametrize(
    ("accepts", "dropped", "fires"),
    [(10_000, 19, False), (10_000, 20, True), (100_000, 99, False), (100_000, 100, True)],
)
def test_drops_of_the_past_are_a_risk(accepts: int, dropped: int, fires: bool) -> None:
    status = replace(QUIET, accepts=accepts, handled=accepts - dropped)
    findings = list(dropped_before(status, Window.of(status, status)))
    assert bool(findings) is fires
    assert all(f.kind is Kind.RISK for f in findings)


def test_drops_of_now_are_not_told_twice() -> None:
    window = Window.of(QUIET, replace(QUIET, accepts=2000, handled=1900))
    assert not list(dropped_before(window.last, window))


def test_what_the_page_cannot_show() -> None:
    server = NginxServer("nginx/1.22.1", "1.22.1")
    (blind,) = upstreams_unseen(server, None)
    assert blind.kind is Kind.BLIND_SPOT
    assert "$upstream_response_time" in " ".join(blind.fixes[0].commands)
    assert not list(upstreams_unseen(server, replace(conf(100), passes=())))
    logged = replace(conf(100), logs=(Log("/var/log/nginx/up.log", PLACE, True),))
    (blind,) = upstreams_unseen(server, logged)
    assert blind.fixes[0].commands == ("scaledoctor scan --access-log /var/log/nginx/up.log",)


PROXY = "server { listen @PORT@; location / { proxy_pass http://shop; } }"


def upstream(ports: list[int]) -> str:
    return "upstream shop { " + "".join(f"server 127.0.0.1:{p}; " for p in ports) + "}"


@pytest.mark.live
def test_a_healthy_nginx_under_load_is_quiet() -> None:
    with members(0.005, 0.005) as (_, ports), nginx(upstream(ports) + PROXY) as server:
        with load_on(server.port) as load:
            load.await_requests(50)
            seen = scan(2.0, nginx=server.status_url, nginx_conf=str(server.conf))
        assert not seen.reasons()
        assert seen.live() == []
        assert seen.use("nginx.connections").state is State.OK
        assert {f.check for f in seen.examination.findings} >= {"nginx.upstreams-unseen"}


ADVISED = """
proxy_connect_timeout 3s; proxy_next_upstream_tries 2; proxy_next_upstream_timeout 10s;
upstream shop {{
    zone shop 64k;
    least_conn;
    {} {}
    keepalive 32;
}}
server {{ listen @PORT@; location / {{
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://shop;
}} }}
"""


@pytest.mark.live
def test_what_is_advised_starts_and_leaves_nothing_to_say() -> None:
    """All fixes of the lint together, in a real nginx under load."""
    main = "worker_processes auto; worker_rlimit_nofile 8192;"
    with members(0.003, 0.003) as (_, ports):
        lines = [f"server 127.0.0.1:{p} max_fails=3 fail_timeout=10s;" for p in ports]
        with (
            nginx(ADVISED.format(*lines), main=main, connections=4096) as server,
            load_on(server.port) as load,
        ):
            load.await_requests(50)
            seen = scan(1.0, nginx=server.status_url, nginx_conf=str(server.conf))
    assert set(load.seen) == {200}
    assert [f.check for f in seen.examination.findings] == ["nginx.upstreams-unseen"]


@pytest.mark.live
def test_slots_that_run_out_are_named() -> None:
    """64 slots, 30 clients of a slow application: each request takes two of them."""
    with (
        members(0.3, 0.3) as (_, ports),
        nginx(upstream(ports) + PROXY, connections=64) as server,
        load_on(server.port, clients=30) as load,
    ):
        load.await_requests(60)
        seen = scan(2.0, nginx=server.status_url, nginx_conf=str(server.conf))
    first = seen.live()[0]
    assert (first.check, first.subject) == ("nginx.connections-exhausted", "worker_connections")
    assert first.severity >= Severity.HIGH
    assert f"# {server.conf}:3" in first.fixes[0].commands
    assert seen.use("nginx.connections").state is State.SATURATED


@contextmanager
def half_requests(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Clients that have sent the beginning of a request: nginx may not close them."""
    with ExitStack() as stack:
        held = []
        for _ in range(count):
            held.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), 5)))
            with suppress(ConnectionError):
                held[-1].sendall(b"GET / HTTP/1.1\r\n")
            time.sleep(0.005)  # until it is read, the connection counts as idle
        yield held


def hold(port: int, count: int, seconds: float) -> None:
    with half_requests(port, count):
        time.sleep(seconds)


@pytest.mark.live
def test_dropped_connections_are_counted() -> None:
    """A burst of 60 clients meets 32 slots in the middle of the scan."""
    with nginx("server { listen @PORT@; }", connections=32) as server:
        burst = threading.Timer(0.8, hold, (server.port, 60, 0.3))
        burst.start()
        seen = scan(3.0, nginx=server.status_url)
        burst.join()
    first = seen.live()[0]
    assert (first.check, first.subject) == ("nginx.connections-exhausted", "worker_connections")
    assert first.severity is Severity.CRITICAL
    assert float(first.evidence[0].value) >= 20


@pytest.mark.live
def test_idle_connections_take_no_slots() -> None:
    """nginx closes them when it needs room: nobody is dropped, and nothing is said."""
    with nginx("server { listen @PORT@; }", connections=32) as server, ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 5))
        seen = scan(1.0, nginx=server.status_url, nginx_conf=str(server.conf))
    assert seen.fact("NginxStatus").dropped == 0
    assert seen.live() == []


@pytest.mark.live
def test_a_full_nginx_that_closes_our_connection_too_is_named() -> None:
    """Nothing could be counted; the refusal is the finding."""
    with (
        nginx("server { listen @PORT@; }", connections=32) as server,
        half_requests(server.port, 60),
    ):
        seen = scan(1.0, nginx=server.status_url)
    assert seen.snapshot.records[0].reach.category == "dropped"
    assert [f.subject for f in seen.live()] == ["worker_connections"]
    assert seen.use("nginx.connections").state is State.SATURATED
