"""Sources of Traefik and Caddy on recorded answers of real ones, over real HTTP."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from scaledoctor.errors import Unavailable
from scaledoctor.sources.caddy.session import caddy as caddy_source
from scaledoctor.sources.proxies import Policy, ProxyGroup, ProxyGroups
from scaledoctor.sources.traefik import traefik as traefik_source
from tests.balancers import Seen, reached, scan
from tests.goproxies import Answers, recorded, replayed

TRAEFIK: Answers = {
    "/api/version": recorded("traefik", "version"),
    "/api/http/services": recorded("traefik", "services"),
    "/metrics": recorded("traefik", "metrics"),
}
CADDY: Answers = {
    "/config/apps/http": recorded("caddy", "config"),
    "/reverse_proxy/upstreams": recorded("caddy", "upstreams"),
    "/metrics": recorded("caddy", "metrics"),
}


def read(kind: str, answers: Answers, path: str = "", window: float = 0.0) -> Seen:
    with replayed(answers) as url:
        return scan(window, **{kind: url + path})


def by_name(groups: ProxyGroups) -> Mapping[str, ProxyGroup]:
    return {g.name: g for g in groups.groups}


def test_traefiks_services_with_health_policy_and_use() -> None:
    groups = by_name(read("traefik", TRAEFIK).fact("ProxyGroups"))
    assert set(groups) == {
        "alone@file", "failing@file", "gone@file", "hidden@file", "refusing@file", "shop@file",
        "sticky@file",
    }  # fmt: skip
    shop = groups["shop@file"]
    assert [(m.address, m.down) for m in shop.members] == [
        ("127.0.0.1:23018", ""),
        ("127.0.0.1:24000", ""),
        ("127.0.0.1:20469", "fails its health check"),
    ]
    assert (shop.policy, shop.method, shop.checked) == (Policy.EVEN, "wrr", ("active",))
    assert groups["refusing@file"].checked == ()
    assert (groups["sticky@file"].policy, groups["sticky@file"].method) == (
        Policy.HASH, "sticky cookie",
    )  # fmt: skip
    assert all(g.used for g in groups.values())


def test_traefiks_counters_by_entry_point_and_service() -> None:
    seen = read("traefik", TRAEFIK, window=0.1)
    (_, first), (_, last) = seen.snapshot.records[0].samples["TraefikCounters"]
    assert {r.name for r in last.entrypoints} == {"web"}
    hidden = {(r.name, r.code): r.requests for r in last.services}
    before = {(r.name, r.code): r.requests for r in first.services}
    assert hidden["hidden@file", 502] > before["hidden@file", 502] > 0
    assert hidden["failing@file", 500] > before["failing@file", 500] > 0
    assert all(r.seconds > 0 for r in last.services)


@pytest.mark.parametrize("path", ["", "/", "/api", "/dashboard/", "/metrics"])
def test_any_url_of_traefik_will_do(path: str) -> None:
    seen = read("traefik", TRAEFIK, path)
    assert seen.fact("ProxyGroups").product == "traefik"
    assert seen.fact("TraefikCounters").entrypoints


def test_traefik_without_metrics_says_how_to_turn_them_on() -> None:
    seen = read("traefik", {k: v for k, v in TRAEFIK.items() if k != "/metrics"})
    (skip,) = {s for s in seen.examination.skips if "metrics" in s.reason and "retries" in s.what}
    assert skip.reason == "Traefik's metrics: /metrics answers HTTP 404"
    assert "--metrics.prometheus=true" in skip.enable
    assert seen.by("proxy.member-down")


def test_traefik_without_its_api_still_counts() -> None:
    first, last = TRAEFIK["/metrics"]
    answers = {"/metrics": [first, first, last]}  # the first one greets
    seen = read("traefik", answers, "/metrics", window=0.1)
    assert seen.by("traefik.errors")
    (skip,) = {s for s in seen.examination.skips if s.what == "proxy.unchecked"}
    assert "--api.insecure=true" in skip.enable


def services(*rows: Mapping[str, Any], pages: int = 1) -> Answers:
    return {**TRAEFIK, "/api/http/services": [json.dumps(rows)] * pages}


def test_services_behind_other_services_are_used() -> None:
    """A weighted, a mirroring and a failover service each lead to others, named with provider."""
    balancer = {"loadBalancer": {"servers": [{"url": "http://user:hunter2@10.0.0.1:80"}]}}
    given = services(
        {"name": "a@file", "provider": "file", "usedBy": ["r"], **balancer},
        {"name": "b@file", "provider": "file", **balancer},
        {"name": "c@docker", "provider": "docker", **balancer},
        {"name": "d@file", "provider": "file", **balancer},
        {"name": "e@file", "provider": "file", "loadBalancer": {}},
        {"name": "w@file", "provider": "file", "weighted": {"services": [{"name": "b"}]}},
        {"name": "m@file", "provider": "file",
         "mirroring": {"service": "c@docker", "mirrors": [{"name": "b"}]}},
    )  # fmt: skip
    groups = by_name(read("traefik", given).fact("ProxyGroups"))
    used = {name: g.used for name, g in groups.items()}
    assert used == {"a@file": True, "b@file": True, "c@docker": True, "d@file": False,
                    "e@file": False}  # fmt: skip
    assert "hunter2" not in str(groups)


@pytest.mark.parametrize("body", ['{"a": 1}', '["x"]', '[{"loadBalancer": 5, "name": "x"}]'])
def test_an_answer_of_another_form_is_one_line(body: str) -> None:
    seen = read("traefik", {**TRAEFIK, "/api/http/services": [body]})
    assert "does not answer in the form that is documented" in " ".join(seen.reasons())


def test_metrics_of_something_else() -> None:
    other = {**TRAEFIK, "/metrics": ["<html>hello</html>"]}
    assert any(
        "no metrics in Prometheus' text format" in r for r in read("traefik", other).reasons()
    )


@pytest.mark.parametrize(("source", "kind"), [(traefik_source, "traefik"), (caddy_source, "caddy")])
def test_another_server_is_told_from_it(source: Any, kind: str) -> None:
    with replayed({"/": ["hello"]}) as url, pytest.raises(Unavailable) as no:
        reached(source.function, kind, url)
    assert kind.capitalize() in no.value.reason
    assert no.value.enable


def test_caddys_handlers_with_health_policy_and_limits() -> None:
    groups = by_name(read("caddy", CADDY).fact("ProxyGroups"))
    assert set(groups) == {
        "srv0 127.0.0.1", "srv0 127.0.0.1/failing*", "srv0 127.0.0.1/lim*",
        "srv0 127.0.0.1/refusing*",
    }  # fmt: skip
    shop = groups["srv0 127.0.0.1"]
    assert (shop.policy, shop.method, shop.checked) == (Policy.EVEN, "round_robin", ("active",))
    assert [m.most for m in groups["srv0 127.0.0.1/lim*"].members] == [4]
    assert groups["srv0 127.0.0.1/failing*"].checked == ("passive",)
    # Nobody looks whether it is down, so Caddy goes on to use it.
    assert [m.down for m in groups["srv0 127.0.0.1/refusing*"].members] == ["", ""]


def test_caddys_upstreams_in_hand() -> None:
    held = read("caddy", CADDY).fact("ProxyLoad").by_member()
    assert held["srv0 127.0.0.1", "127.0.0.1:28879"].active >= 5


def test_an_address_of_two_groups_is_not_attributed() -> None:
    config = {
        "servers": {"srv0": {"routes": [
            {"handle": [{"handler": "reverse_proxy", "upstreams": [{"dial": "a:1"}]}]},
            {"handle": [{"handler": "reverse_proxy", "upstreams": [{"dial": "a:1"},
                                                                   {"dial": "b:1"}]}]},
        ]}}
    }  # fmt: skip
    rows = '[{"address":"a:1","num_requests":3,"fails":0},{"address":"b:1","num_requests":1}]'
    given = {**CADDY, "/config/apps/http": [json.dumps(config)], "/reverse_proxy/upstreams": [rows]}
    seen = read("caddy", given)
    assert set(seen.fact("ProxyLoad").by_member()) == {("", "a:1"), ("srv0 #2", "b:1")}
    assert set(by_name(seen.fact("ProxyGroups"))) == {"srv0", "srv0 #2"}


def test_caddys_counters_and_their_absence() -> None:
    counters = read("caddy", CADDY).fact("CaddyCounters")
    assert {r.code for r in counters.rows} >= {200, 500, 502}
    assert counters.errors["srv0"] > 0
    off = {**CADDY, "/config/apps/http": ['{"servers": {}}']}
    seen = read("caddy", off)
    (skip,) = {s for s in seen.examination.skips if s.what == "caddy.errors"}
    assert skip.reason == "Caddy does not count requests: metrics are off"
    assert "{ metrics }" in skip.enable


@pytest.mark.parametrize("config", ["null", "{}", '{"servers": null}'])
def test_a_caddy_without_a_site_has_no_groups(config: str) -> None:
    seen = read("caddy", {**CADDY, "/config/apps/http": [config]})
    assert seen.fact("ProxyGroups").groups == ()


def test_a_configuration_of_another_form_is_one_line() -> None:
    (record,) = read("caddy", {**CADDY, "/config/apps/http": ['{"servers": [1]}']}).snapshot.records
    assert not record.reach.ok
    assert "does not answer in the form that is documented" in record.reach.message


def test_no_secret_of_the_configuration_is_kept() -> None:
    """Headers, keys and other handlers are not looked at."""
    config = json.loads(CADDY["/config/apps/http"][0])
    config["servers"]["srv0"]["routes"].append(
        {"handle": [{"handler": "reverse_proxy", "upstreams": [{"dial": "a:1"}],
                     "headers": {"request": {"set": {"Authorization": ["Bearer topsecret"]}}}}]}
    )  # fmt: skip
    seen = read("caddy", {**CADDY, "/config/apps/http": [json.dumps(config)]})
    assert "topsecret" not in str(seen.snapshot)
