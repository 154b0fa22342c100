"""Faults behind a real Envoy: one scan sees all, and each cluster has its own first finding."""

import http.client
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from scaledoctor.demo.servers.child import free_port
from scaledoctor.model import Finding, Kind, Severity, State
from tests.balancers import Seen, load_on, members, scan
from tests.envoys import HEALTH, breakers, cluster, envoy

pytestmark = pytest.mark.live

PREVIOUS = "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3"
AGAIN = {
    "retry_policy": {
        "retry_on": "5xx",
        "num_retries": 2,
        "host_selection_retry_max_attempts": 5,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {"@type": f"{PREVIOUS}.PreviousHostsPredicate"},
            }
        ],
    }
}
BY_HEADER = {"hash_policy": [{"header": {"header_name": "accept-encoding"}}]}


@dataclass(frozen=True)
class Scene:
    """What one scan of everything saw, and the ports of the members at fault."""

    seen: Seen
    slow: int
    bad: int
    dead: int

    def of(self, name: str) -> list[Finding]:
        """Live findings of one cluster, the most urgent first."""
        return [f for f in self.seen.live() if f.subject.split("/")[0] == name]


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """Twelve clusters over six members and two ports where nobody listens, all under load."""
    with ExitStack() as stack:
        crowd, (a, b, c, slow) = stack.enter_context(members(0.003, 0.003, 0.003, 0.15))
        bad, dead, gone = crowd.start(0.003, 500), free_port(), free_port()
        clusters = {
            "healthy": cluster(a, b, c, **HEALTH),
            "lagging": cluster(a, b, slow, **HEALTH),
            "down": cluster(a, b, dead, **HEALTH),
            "gone": cluster(dead, gone, **HEALTH),
            "scared": cluster(a, dead, gone, **HEALTH),
            "full": cluster(slow, circuit_breakers=breakers(max_requests=2)),
            "queued": cluster(slow, circuit_breakers=breakers(max_connections=1)),
            "failing": cluster(a, b, bad, **HEALTH),
            "refusing": cluster(a, dead),
            "hidden": cluster(
                a, b, bad, route=AGAIN, circuit_breakers=breakers(max_retries=100), **HEALTH
            ),
            "hashed": cluster(a, b, c, route=BY_HEADER, lb_policy="RING_HASH", **HEALTH),
            "capped": cluster(a, b, bad, outlier_detection={"interval": "0.5s"}),
        }
        proxy = stack.enter_context(envoy(**clusters))
        many = ("full", "queued", "lagging")
        loads = [
            stack.enter_context(load_on(proxy.port, 8 if name in many else 3, f"/{name}"))
            for name in clusters
        ]
        for load in loads:
            load.await_requests(5)
        yield Scene(scan(6.0, envoy=proxy.admin), slow, bad, dead)


def test_all_was_seen(scene: Scene) -> None:
    assert not scene.seen.reasons()
    assert scene.seen.fact("EnvoyServer").state == "LIVE"
    assert scene.seen.stored() == scene.seen.snapshot


def test_a_healthy_cluster_under_load_is_quiet(scene: Scene) -> None:
    assert scene.of("healthy") == []
    assert [f for f in scene.seen.examination.findings if f.subject == "healthy"] == []
    assert scene.seen.use("envoy.cluster:healthy").state is State.OK


def test_each_fault_is_the_first_of_its_cluster(scene: Scene) -> None:
    first = {
        name: (found[0].check, found[0].subject)
        for name in ("lagging", "down", "gone", "full", "queued", "failing", "hidden", "hashed")
        if (found := scene.of(name))
    }
    assert first == {
        "lagging": ("proxy.slow-member", f"lagging/127.0.0.1:{scene.slow}"),
        "down": ("proxy.member-down", f"down/127.0.0.1:{scene.dead}"),
        "gone": ("proxy.member-down", "gone"),
        "full": ("envoy.overflow", "full"),
        "queued": ("envoy.overflow", "queued"),
        "failing": ("envoy.errors", f"failing/127.0.0.1:{scene.bad}"),
        "hidden": ("envoy.retries", f"hidden/127.0.0.1:{scene.bad}"),
        "hashed": ("proxy.imbalance", first["hashed"][1]),
    }
    assert first["hashed"][1].startswith("hashed/127.0.0.1:")


def test_none_has_a_second_one(scene: Scene) -> None:
    names = ("lagging", "down", "gone", "full", "queued", "failing", "hidden", "hashed")
    assert {name: len(scene.of(name)) for name in names} == dict.fromkeys(names, 1)


def test_panic_is_named_beside_the_members(scene: Scene) -> None:
    assert [f.check for f in scene.of("scared")] == [
        "envoy.panic", "proxy.member-down", "proxy.member-down",
    ]  # fmt: skip


def test_a_dead_member_without_health_checks(scene: Scene) -> None:
    (found,) = scene.of("refusing")
    assert (found.check, found.subject) == ("envoy.errors", f"refusing/127.0.0.1:{scene.dead}")
    assert "refuses connections" in found.summary
    (risk,) = scene.seen.by("proxy.unchecked")
    assert (risk.subject, risk.kind) == ("refusing", Kind.RISK)


def test_outlier_detection_that_may_not_eject(scene: Scene) -> None:
    checks = {f.check: f for f in scene.of("capped")}
    assert set(checks) == {"envoy.errors", "envoy.ejection-capped"}
    assert checks["envoy.ejection-capped"].subject == f"capped/127.0.0.1:{scene.bad}"


def test_limits_are_saturated_where_they_refuse(scene: Scene) -> None:
    full, queued = (scene.seen.use(f"envoy.cluster:{name}") for name in ("full", "queued"))
    assert (full.state, full.limit, full.unit) == (State.SATURATED, 2.0, "requests in hand")
    assert full.errors > 100
    assert (queued.state, queued.unit) == (State.SATURATED, "connections")
    assert queued.waiting > 3


def test_the_verdict_of_one_fault_is_that_fault() -> None:
    """One cluster, one member stopped in the middle of the load: the first finding names it."""
    with (
        members(0.003, 0.003, 0.003) as (crowd, ports),
        envoy(shop=cluster(*ports, **HEALTH)) as proxy,
        load_on(proxy.port, 4, "/shop") as load,
    ):
        load.await_requests(50)
        assert scan(2.0, envoy=proxy.admin).live() == []
        crowd.stop(ports[1])
        load.await_requests(load.seen.total() + 300)
        seen = scan(2.0, envoy=proxy.admin)
    first = seen.first()
    assert (first.check, first.subject) == ("proxy.member-down", f"shop/127.0.0.1:{ports[1]}")
    assert first.severity is Severity.MEDIUM
    assert "fails its health check" in first.summary


def test_an_envoy_that_drains_says_so() -> None:
    with members(0.003) as (_, ports), envoy(shop=cluster(*ports)) as proxy:
        admin = http.client.HTTPConnection("127.0.0.1", proxy.admin_port, timeout=5)
        admin.request("POST", "/healthcheck/fail")
        assert admin.getresponse().status == 200
        admin.close()
        seen = scan(0, envoy=proxy.admin)
    assert [(f.check, f.subject) for f in seen.live()] == [("envoy.not-live", "envoy")]
    assert "is draining, not live" in seen.live()[0].summary
