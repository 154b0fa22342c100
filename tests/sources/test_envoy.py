"""Answers of Envoy's admin interface: zeros left out, numbers as text, other versions' forms."""

import json
from typing import Any

import pytest

from scaledoctor.errors import Unavailable
from scaledoctor.sources.envoy import clusters as source
from scaledoctor.sources.envoy.session import ENABLE
from scaledoctor.sources.envoy.session import envoy as envoy_source
from scaledoctor.sources.proxies import Policy, ProxyGroup, ProxyMember
from tests.balancers import Seen, reached, scan
from tests.goproxies import Answers, replayed

INFO = {"version": "9e55/1.40.0/Clean/RELEASE/BoringSSL", "state": "LIVE"}


def answers(
    *clusters: dict[str, Any],
    config: dict[str, Any] | None = None,
    stats: dict[str, int] | None = None,
) -> Answers:
    rows = [{"name": name, "value": value} for name, value in (stats or {}).items()]
    dump = {"configs": [{"cluster": config}]} if config else {}
    return {
        "/server_info": [json.dumps(INFO)],
        "/clusters": [json.dumps({"cluster_statuses": clusters} if clusters else {})],
        "/config_dump": [json.dumps(dump)],
        "/stats": [json.dumps({"stats": rows})],
    }


def read(given: Answers) -> Seen:
    with replayed(given) as url:
        return scan(0, envoy=url)


def host(**more: Any) -> dict[str, Any]:
    address = {"socket_address": {"address": "10.0.0.1", "port_value": 80}}
    return {"address": address, "stats": [], **more}


def only(seen: Seen) -> ProxyGroup:
    (group,) = seen.fact("ProxyGroups").groups
    assert isinstance(group, ProxyGroup)
    return group


def member(**more: Any) -> ProxyMember:
    (found,) = only(read(answers({"name": "a", "host_statuses": [host(**more)]}))).members
    return found


def test_zeros_are_left_out_and_numbers_are_text() -> None:
    stats = [{"name": "rq_total", "value": "18446744073709551615"}, {"name": "rq_error"}]
    found = member(stats=stats)
    assert (found.requests, found.failed, found.weight) == (2**64 - 1, 0, 1.0)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ({"socket_address": {"address": "::1", "port_value": 80}}, "[::1]:80"),
        ({"pipe": {"path": "/run/app.sock"}}, "/run/app.sock"),
        ({"envoy_internal_address": {"server_listener_name": "x"}}, "internal"),
    ],
)
def test_addresses(address: dict[str, Any], shown: str) -> None:
    assert member(address=address).address == shown


@pytest.mark.parametrize(
    ("health", "down", "drained"),
    [
        ({"eds_health_status": "HEALTHY"}, "", False),
        ({}, "", False),
        ({"failed_active_health_check": True}, "fails its health check", False),
        ({"failed_outlier_check": True}, "ejected by outlier detection", False),
        ({"eds_health_status": "UNHEALTHY"}, "unhealthy by its control plane", False),
        ({"eds_health_status": "DEGRADED"}, "", False),
        ({"eds_health_status": "DRAINING"}, "", True),
        ({"pending_dynamic_removal": True, "failed_active_health_check": True},
         "fails its health check", True),
    ],
)  # fmt: skip
def test_health_flags(health: dict[str, Any], down: str, drained: bool) -> None:
    found = member(health_status=health)
    assert (found.down, found.drained) == (down, drained)


def test_places_are_localities_and_priorities() -> None:
    assert member(locality={"region": "eu", "zone": "a"}).place == "eu/a"
    assert member(priority=1).place == " priority 1"


@pytest.mark.parametrize(
    ("config", "policy", "method"),
    [
        ({}, Policy.EVEN, "round_robin"),
        ({"lb_policy": "MAGLEV"}, Policy.HASH, "maglev"),
        ({"lb_policy": "CLUSTER_PROVIDED"}, Policy.OTHER, "cluster_provided"),
        ({"lb_policy": "ROUND_ROBIN", "load_balancing_policy": {"policies": [
            {"typed_extension_config": {"name": "envoy.load_balancing_policies.least_request"}}]}},
         Policy.LEAST, "least_request"),
    ],
)  # fmt: skip
def test_policies_of_both_forms(config: dict[str, Any], policy: Policy, method: str) -> None:
    group = only(read(answers({"name": "a"}, config={"name": "a", **config})))
    assert (group.policy, group.method, group.checked) == (policy, method, ())


def test_a_cluster_of_a_control_plane_is_checked_by_it() -> None:
    assert only(read(answers({"name": "a"}, config={"name": "a", "type": "EDS"}))).checked == (
        "active",
    )


def test_health_checks_are_known_by_their_counter() -> None:
    """Under the cluster's other name, whose colons become underscores."""
    config = {"name": "a", "alt_stat_name": "b:c", "outlier_detection": {}}
    given = answers({"name": "a"}, config=config, stats={"cluster.b_c.health_check.attempt": 0})
    assert only(read(given)).checked == ("active", "passive")


def test_without_the_configuration_nothing_is_said_of_it() -> None:
    """Some allow only a part of the admin interface."""
    given = {k: v for k, v in answers({"name": "a"}).items() if k != "/config_dump"}
    seen = read(given)
    assert (only(seen).policy, only(seen).checked) == (Policy.OTHER, ("unknown",))
    assert not seen.by("proxy.unchecked")


def test_counters_belong_to_the_cluster_of_that_stat_name() -> None:
    """A name may hold dots and end like a counter."""
    given = answers(
        {"name": "a.b:c", "observability_name": "a.b:c"},
        stats={"cluster.a.b_c.upstream_rq_completed": 9, "cluster.gone.upstream_rq_completed": 3},
    )
    (found,) = read(given).fact("EnvoyCounters").clusters
    assert (found.name, found.completed) == ("a.b:c", 9)


def test_limits_are_those_of_the_default_priority() -> None:
    thresholds = [{"priority": "HIGH", "max_requests": 7}, {"max_requests": 5}]
    given = answers({"name": "a", "circuit_breakers": {"thresholds": thresholds}})
    (limits,) = read(given).fact("EnvoyBreakers").clusters
    assert (limits.requests, limits.pending) == (5, 0)


def test_a_large_answer_is_not_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST_SAMPLED", 100)
    seen = read(answers({"name": "a" * 100}))
    assert "/clusters has 0 MB: it is not sampled" in seen.reasons()
    assert only(seen).name == "a" * 100


@pytest.mark.parametrize("body", ['{"cluster_statuses": 5}', '{"cluster_statuses": ["x"]}'])
def test_an_answer_of_another_form_is_one_line(body: str) -> None:
    seen = read({**answers(), "/clusters": [body]})
    assert "Envoy's /clusters does not answer in the form that is documented" in seen.reasons()


@pytest.mark.parametrize("body", ["hello", "[]", "{}", '{"version": 1}'])
def test_something_else_is_not_envoy(body: str) -> None:
    with replayed({"/server_info": [body]}) as url, pytest.raises(Unavailable) as no:
        reached(envoy_source.function, "envoy", url)
    assert no.value.enable == ENABLE
