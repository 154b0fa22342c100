"""The reverse_proxy handlers of Caddy's configuration; nothing else of it is kept."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from scaledoctor.sdk import Redactor
from scaledoctor.sources.proxies import Policy, ProxyGroup, ProxyMember

_POLICIES: Mapping[str, Policy] = {
    "random": Policy.EVEN,
    "round_robin": Policy.EVEN,
    "weighted_round_robin": Policy.EVEN,
    "least_conn": Policy.LEAST,
    "random_choose": Policy.LEAST,
    "ip_hash": Policy.HASH,
    "client_ip_hash": Policy.HASH,
    "uri_hash": Policy.HASH,
    "query": Policy.HASH,
    "header": Policy.HASH,
    "cookie": Policy.HASH,
}

Json = Mapping[str, Any]


def groups(app: Json, redactor: Redactor) -> tuple[ProxyGroup, ...]:
    """The groups of the http app: one for each reverse_proxy handler, by server and matcher."""
    found: list[ProxyGroup] = []
    names: Counter[str] = Counter()
    for server, settings in sorted((app.get("servers") or {}).items()):
        for where, handler in _handlers(settings, ""):
            name = redactor.text(f"{server} {where}".strip())
            names[name] += 1
            number = f" #{names[name]}" if names[name] > 1 else ""
            found.append(_group(name + number, handler, redactor))
    return tuple(found)


def metrics_on(app: Json) -> bool:
    """Whether requests are counted: for all servers from 2.9 on, before that for each."""
    servers = (app.get("servers") or {}).values()
    return "metrics" in app or any("metrics" in server for server in servers)


def _handlers(node: Any, where: str) -> Iterator[tuple[str, Json]]:
    """Every reverse_proxy inside, with the hosts and paths that lead to it."""
    if isinstance(node, list):
        for item in node:
            yield from _handlers(item, where)
    elif isinstance(node, dict):
        here = where + _matched(node.get("match")) if "handle" in node else where
        if node.get("handler") == "reverse_proxy":
            yield where, node
        for value in node.values():
            yield from _handlers(value, here)


def _matched(matchers: Any) -> str:
    """The first host and path of a route's matchers."""
    words: list[str] = []
    for matcher in matchers if isinstance(matchers, list) else ():
        for key in ("host", "path"):
            words += [str(v) for v in (matcher.get(key) or ())][:1]
        if words:
            break
    return "".join(words)


def _group(name: str, handler: Json, redactor: Redactor) -> ProxyGroup:
    balancing = handler.get("load_balancing") or {}
    policy = balancing.get("selection_policy") or {}
    method = str(policy.get("policy", "random"))
    health = handler.get("health_checks") or {}
    passive = health.get("passive") or {}
    checks = (("active", "active" in health), ("passive", bool(passive.get("fail_duration"))))
    upstreams = handler.get("upstreams") or ()
    weights = [float(w) for w in policy.get("weights") or ()]
    members = [
        _member(upstream, weight, passive, redactor)
        for upstream, weight in zip(
            upstreams, weights + [1.0] * (len(upstreams) - len(weights)), strict=False
        )
    ]
    return ProxyGroup(
        name=name,
        members=tuple(members),
        policy=_POLICIES.get(method, Policy.OTHER),
        method=method,
        checked=tuple(word for word, on in checks if on),
        names="dynamic_upstreams" in handler,
    )


def _member(upstream: Json, weight: float, passive: Json, redactor: Redactor) -> ProxyMember:
    most = upstream.get("max_requests") or passive.get("unhealthy_request_count")
    return ProxyMember(
        address=redactor.text(str(upstream.get("dial", ""))),
        weight=weight,
        most=int(most) if most else None,
    )
