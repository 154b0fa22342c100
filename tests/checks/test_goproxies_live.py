"""Faults behind a real Traefik and a real Caddy; both are skipped where their wheels are absent."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from scaledoctor.demo.servers.child import free_port
from scaledoctor.model import Finding, Severity
from tests.balancers import Members, Seen, load_on, members, scan
from tests.goproxies import GoProxy, caddy, servers, traefik

pytestmark = [pytest.mark.live, pytest.mark.slow]

HEALTH = {"healthCheck": {"path": "/health", "interval": "200ms", "timeout": "1s"}}
AGAIN = {"middlewares": ["again"]}


@pytest.fixture(scope="module")
def crowd() -> Iterator[Members]:
    """Members for all tests here."""
    with members() as (found, _):
        yield found


def under_load(proxy: GoProxy, *paths: str, clients: int = 3, **target: str) -> Seen:
    """Scan in the middle of load on these paths, once the health checks have looked."""
    time.sleep(0.7)
    with ExitStack() as stack:
        loads = [stack.enter_context(load_on(proxy.port, clients, path)) for path in paths]
        for load in loads:
            load.await_requests(50)
        seen = scan(3.0, **target)
    return seen


def first(seen: Seen) -> Finding:
    known = ("does not count requests by member", "what each member of traefik has in hand")
    assert not [r for r in seen.reasons() if not any(words in r for words in known)]
    found = seen.first()
    assert found.fixes
    return found


def test_traefik_healthy_is_quiet(crowd: Members) -> None:
    ports = [crowd.start(0.003) for _ in range(3)]
    with traefik({"shop": servers(*ports, **HEALTH)}, {}) as proxy:
        seen = under_load(proxy, "/shop", traefik=proxy.api)
    assert seen.live() == []
    assert [f.check for f in seen.examination.findings] == ["traefik.members-unseen"]
    assert seen.use("traefik.service:shop@file").used > 0.5


def test_traefik_names_the_member_that_is_down(crowd: Members) -> None:
    dead = free_port()
    with traefik({"shop": servers(crowd.start(), dead, crowd.start(), **HEALTH)}, {}) as proxy:
        seen = under_load(proxy, "/shop", traefik=proxy.api)
    found = first(seen)
    assert (found.check, found.subject) == ("proxy.member-down", f"shop@file/127.0.0.1:{dead}")


def test_traefik_names_the_service_without_a_server(crowd: Members) -> None:
    """Its 503s are told once, though the entry point counts them."""
    services = {"shop": servers(free_port(), free_port(), **HEALTH), "ok": servers(crowd.start())}
    with traefik(services, {}) as proxy:
        seen = under_load(proxy, "/shop", "/ok", traefik=proxy.api)
    found = first(seen)
    assert (found.check, found.subject) == ("proxy.member-down", "shop@file")
    assert found.severity is Severity.CRITICAL
    assert [f.check for f in seen.live()] == ["proxy.member-down"]


def test_traefik_tells_the_application_from_a_server_that_is_gone(crowd: Members) -> None:
    services = {
        "failing": servers(crowd.start(), crowd.start(status=500)),
        "refusing": servers(crowd.start(), free_port()),
    }
    with traefik(services, {}) as proxy:
        seen = under_load(proxy, "/failing", "/refusing", traefik=proxy.api)
    said = {f.subject: f.summary for f in seen.by("traefik.errors")}
    assert "failing@file answered so itself" in said["failing@file"]
    assert "servers of refusing@file did not answer" in said["refusing@file"]
    assert {f.subject for f in seen.by("proxy.unchecked")} == {"failing@file", "refusing@file"}
    assert first(seen).check == "traefik.errors"


def test_traefik_retries_hide_a_dead_server(crowd: Members) -> None:
    services = {"shop": servers(crowd.start(), crowd.start(), free_port())}
    with traefik(services, {"shop": AGAIN}) as proxy:
        seen = under_load(proxy, "/shop", clients=1, traefik=proxy.api)
    found = first(seen)
    assert (found.check, found.subject) == ("traefik.retries", "shop@file")
    assert "servers of shop@file did not answer" in found.summary


def test_traefik_circuit_breaker_is_its_own(crowd: Members) -> None:
    services = {"shop": servers(crowd.start(status=500))}
    with traefik(services, {"shop": {"middlewares": ["breaker"]}}) as proxy:
        seen = under_load(proxy, "/shop", traefik=proxy.api)
    assert (first(seen).check, first(seen).subject) == ("traefik.errors", "traefik")


def test_traefik_without_metrics_is_skipped_with_the_option(crowd: Members) -> None:
    with traefik({"shop": servers(crowd.start(), crowd.start())}, {}) as proxy:
        by_metrics = scan(1.0, traefik=f"{proxy.api}/metrics")
    assert by_metrics.fact("TraefikCounters").services == ()
    assert by_metrics.fact("ProxyGroups").groups


CHECKED = "health_uri /health\nhealth_interval 200ms"


def proxied(*ports: int, lines: str = "") -> str:
    upstreams = " ".join(f"127.0.0.1:{port}" for port in ports)
    return f"reverse_proxy {upstreams} {{\nlb_policy round_robin\n{lines}\n}}"


def test_caddy_healthy_is_quiet(crowd: Members) -> None:
    ports = [crowd.start(0.003) for _ in range(3)]
    with caddy(proxied(*ports, lines=CHECKED)) as proxy:
        seen = under_load(proxy, "/", caddy=proxy.api)
    assert seen.live() == []
    assert [f.check for f in seen.examination.findings] == ["caddy.members-unseen"]


def test_caddy_names_the_upstream_that_is_down(crowd: Members) -> None:
    """Its metric follows within ten seconds."""
    dead = free_port()
    with (
        caddy(proxied(crowd.start(), crowd.start(), dead, lines=CHECKED)) as proxy,
        load_on(proxy.port, 2) as load,
    ):
        load.await_requests(50)
        seen = scan(11.0, caddy=proxy.api)
    found = first(seen)
    assert (found.check, found.subject) == ("proxy.member-down", f"srv0 127.0.0.1/127.0.0.1:{dead}")


def test_caddy_remembers_failures(crowd: Members) -> None:
    dead = free_port()
    lines = "fail_duration 30s\nlb_retries 1"
    with caddy(proxied(crowd.start(), crowd.start(), dead, lines=lines)) as proxy:
        seen = under_load(proxy, "/", caddy=proxy.api)
    found = first(seen)
    assert (found.check, found.subject) == ("proxy.member-down", f"srv0 127.0.0.1/127.0.0.1:{dead}")
    assert "lately" in found.summary


def test_caddy_tells_its_own_errors_from_the_applications(crowd: Members) -> None:
    with caddy(proxied(crowd.start(), free_port())) as proxy:
        seen = under_load(proxy, "/", caddy=proxy.api)
    found = first(seen)
    assert (found.check, found.subject) == ("caddy.errors", "srv0")
    assert "got no connection" in found.summary
    assert [f.subject for f in seen.by("proxy.unchecked")] == ["srv0 127.0.0.1"]
    with caddy(proxied(crowd.start(), crowd.start(status=500), lines=CHECKED)) as proxy:
        seen = under_load(proxy, "/", caddy=proxy.api)
    assert "the application answered so itself" in first(seen).summary


def test_caddy_names_a_slow_upstream_by_what_it_has_in_hand(crowd: Members) -> None:
    slow = crowd.start(0.2)
    with caddy(proxied(crowd.start(), crowd.start(), slow, lines=CHECKED)) as proxy:
        seen = under_load(proxy, "/", clients=8, caddy=proxy.api)
    found = first(seen)
    assert (found.check, found.subject) == ("proxy.slow-member", f"srv0 127.0.0.1/127.0.0.1:{slow}")


def test_caddy_with_a_limit_shows_it(crowd: Members) -> None:
    port = crowd.start(0.1)
    with caddy(proxied(port, lines="unhealthy_request_count 4")) as proxy:
        seen = under_load(proxy, "/", clients=6, caddy=proxy.api)
    use = seen.use(f"caddy.upstream:127.0.0.1:{port}")
    assert (use.limit, use.used) == (4.0, 4.0)
    assert first(seen).check == "caddy.errors"


def test_caddy_without_metrics_is_skipped_with_the_option(crowd: Members) -> None:
    with caddy(proxied(crowd.start(), crowd.start()), options="") as proxy:
        seen = scan(1.0, caddy=proxy.api)
    assert "Caddy does not count requests: metrics are off" in seen.reasons()
