"""Caddy's upstreams with their health, what they have in hand, and the servers' counters."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from scaledoctor.sdk import Cadence, Unavailable, fact, probe
from scaledoctor.sources._metrics import samples
from scaledoctor.sources.caddy.session import CaddySession
from scaledoctor.sources.proxies import InHand, ProxyGroup, ProxyGroups, ProxyLoad, as_expected

UPSTREAMS, METRICS = "/reverse_proxy/upstreams", "/metrics"

ENABLE = (
    "count requests: { metrics } in the Caddyfile's global options, before Caddy 2.9 "
    "{ servers { metrics } }"
)

_HEALTHY = "caddy_reverse_proxy_upstreams_healthy"
_COUNT, _SUM = (
    "caddy_http_request_duration_seconds_count",
    "caddy_http_request_duration_seconds_sum",
)
_ERRORS = "caddy_http_request_errors_total"


@probe(cost="2 requests", cadence=Cadence.EDGES)
async def caddy_groups(caddy: CaddySession) -> ProxyGroups:
    """Add the health of each upstream to the groups of the configuration.

    The metric follows the active checks with up to ten seconds; ``fails`` are the failures that
    a passive check still remembers. A group without checks goes on to use a member that another
    group knows to be down.
    """
    rows = (await caddy.web.reading(UPSTREAMS)).json("Caddy's list of upstreams")
    text = (await caddy.web.reading(METRICS)).text
    sick = {s.labels.get("upstream", "") for s in samples(text, (_HEALTHY,)) if s.value == 0}
    with as_expected("Caddy's list of upstreams"):
        fails = {str(r["address"]): int(r.get("fails", 0)) for r in rows or ()}
    return ProxyGroups("caddy", tuple(_with_health(g, sick, fails) for g in caddy.groups))


def _with_health(group: ProxyGroup, sick: set[str], fails: Mapping[str, int]) -> ProxyGroup:
    def down(address: str) -> str:
        if "active" in group.checked and address in sick:
            return "fails its health check"
        failed = fails.get(address, 0) if "passive" in group.checked else 0
        return f"failed {failed} times lately" if failed else ""

    members = (replace(m, down=down(m.address)) for m in group.members)
    return replace(group, members=tuple(members))


@probe(cost="1 request, < 1 ms", cadence=Cadence.SAMPLED)
async def caddy_load(caddy: CaddySession) -> ProxyLoad:
    """Read what each upstream has in hand; it is counted by address, not by group."""
    rows = (await caddy.web.reading(UPSTREAMS)).json("Caddy's list of upstreams")
    owners = {m.address: g.name for g in caddy.groups for m in g.members}
    often = Counter(m.address for g in caddy.groups for m in g.members)
    with as_expected("Caddy's list of upstreams"):
        found = ((str(r["address"]), int(r["num_requests"])) for r in rows or ())
        return ProxyLoad(
            tuple(
                InHand(owners.get(address, "") if often[address] == 1 else "", address, active)
                for address, active in found
                if active
            )
        )


@dataclass(frozen=True, slots=True)
class CaddyRow:
    """Requests of one server that ended with one status, and their seconds."""

    server: str
    code: int
    requests: int
    seconds: float


@fact
@dataclass(frozen=True, slots=True)
class CaddyCounters:
    """Counters since the configuration was loaded.

    ``errors`` are, by server, the requests that a handler of Caddy's could not serve: no upstream
    to connect to, none healthy.
    """

    rows: tuple[CaddyRow, ...]
    errors: Mapping[str, int]


@probe(cost="1 request, about 2 kB per server and status", cadence=Cadence.EDGES)
async def caddy_counters(caddy: CaddySession) -> CaddyCounters:
    """Read the metrics page."""
    if not caddy.metrics:
        raise Unavailable("Caddy does not count requests: metrics are off", ENABLE)
    text = (await caddy.web.reading(METRICS)).text
    counts: dict[tuple[str, int], list[float]] = {}
    errors: Counter[str] = Counter()
    for sample in samples(text, (_COUNT, _SUM, _ERRORS)):
        server = caddy.redactor.text(sample.labels.get("server", ""))
        if sample.name == _ERRORS:
            errors[server] += int(sample.value)
            continue
        code = sample.labels.get("code", "")
        row = counts.setdefault((server, int(code) if code.isdecimal() else 0), [0.0, 0.0])
        row[sample.name == _SUM] += sample.value
    return CaddyCounters(
        tuple(CaddyRow(*key, int(n), seconds) for key, (n, seconds) in sorted(counts.items())),
        dict(sorted(errors.items())),
    )
