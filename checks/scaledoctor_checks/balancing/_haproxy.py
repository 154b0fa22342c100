"""HAProxy's backends over the window: what each server got, holds and lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from scaledoctor.sdk import Unavailable, Window
from scaledoctor.sources.haproxy import (
    Backend,
    BackendLoad,
    BackendServer,
    HaproxyNow,
    HaproxyStats,
)
from scaledoctor.sources.haproxy_cfg import HaproxyCfg
from scaledoctor_checks.balancing._balance import Member

SOURCE = "show stat"

Growth = Mapping[str, float]
"""Counters by name, grown over the window."""

SERVER_COUNTERS = (
    "requests", "placed", "errors", "failed_connects", "failed_answers", "retries", "redispatches",
)  # fmt: skip
BACKEND_COUNTERS = (
    "requests", "errors", "server_errors", "failed_connects", "failed_answers", "retries",
    "redispatches",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Served:
    """One server: its last row, its counters' growth, its mean requests in hand and waiting.

    ``steady`` says that it could be given requests during the whole window. ``fell`` is how often
    it went down in it.
    """

    row: BackendServer
    grown: Growth
    in_flight: float
    queued: float
    steady: bool
    fell: int
    window: float
    samples: int

    @property
    def key(self) -> str:
        """backend/server, as the runtime socket names it."""
        return f"{self.row.proxy}/{self.row.name}"

    @property
    def requests(self) -> float:
        """Requests that it was given."""
        return self.grown["requests"]

    @property
    def failing(self) -> float:
        """Requests whose connection to it failed at least once."""
        grown = self.grown
        failed = grown["retries"] + grown["redispatches"] + grown["failed_connects"]
        return min(failed, max(self.requests, grown["failed_connects"]))

    @property
    def member(self) -> Member:
        """The same for the tests that all balancers share; its seconds by Little's law."""
        pinned = max(0.0, self.requests - self.grown["placed"] - self.grown["retries"])
        return Member(
            name=self.row.name,
            weight=float(self.row.weight),
            requests=self.requests,
            seconds=self.in_flight * self.window,
            pinned=pinned,
            # A slow request is in several samples, and still one request.
            seen=min(self.in_flight * self.samples, self.requests + self.in_flight),
        )


@dataclass(frozen=True, slots=True)
class Group:
    """One backend: its last row, its counters' growth, its load, the listed servers.

    ``in_flight`` are requests at all its servers, ``waiting`` those in its queues, ``queueing``
    the share of the samples with a queue, ``samples`` how many there were.
    """

    row: Backend
    grown: Growth
    in_flight: float
    waiting: float
    queueing: float
    samples: int
    servers: tuple[Served, ...]

    @property
    def key(self) -> str:
        """The resource that findings explain."""
        return f"haproxy.backend:{self.row.name}"

    @property
    def requests(self) -> float:
        """Requests that arrived."""
        return self.grown["requests"]

    @property
    def own_errors(self) -> float:
        """5xx that HAProxy made itself: 503 without a server, 502 and 504 for one that failed."""
        return max(0.0, self.grown["errors"] - self.grown["server_errors"])

    @property
    def usable(self) -> int:
        """Servers that can take a request."""
        return self.row.servers - self.row.down - self.row.parked

    @property
    def work(self) -> float:
        """Requests in hand, being served or waiting."""
        return self.in_flight + self.waiting

    @property
    def queue_share(self) -> float:
        """Share of the time in this backend that is spent in a queue."""
        return self.waiting / self.work if self.work else 0.0

    @property
    def steady(self) -> list[Served]:
        """Active servers that could be given requests during the whole window."""
        return [s for s in self.servers if s.steady and not s.row.backup]

    @property
    def lost_weight(self) -> float:
        """Share of the weight of its servers that is down; backups and parked ones not counted."""
        rows = [s.row for s in self.servers if not s.row.backup and not s.row.parked]
        total = sum(row.weight for row in rows)
        return sum(row.weight for row in rows if row.down) / total if total else 0.0


@dataclass(frozen=True, slots=True)
class Load:
    """Means of one backend: requests at its servers, in its queues, samples with a queue.

    ``usable`` are those at servers that can take more; a server that went down keeps its own.
    """

    in_flight: float
    usable: float
    waiting: float
    queueing: float


@dataclass(frozen=True, slots=True)
class Traffic:
    """All backends that have servers, and their sums, over ``seconds``."""

    groups: tuple[Group, ...]
    seconds: float

    def live(self, group: Group) -> bool:
        """Whether a backend carries requests: in the window, else since HAProxy was started."""
        return bool(group.requests if self.seconds else group.row.requests)

    def lost(self, requests: float) -> float:
        """Share of all requests of the window."""
        total = sum(g.requests for g in self.groups)
        return min(1.0, requests / total) if total else 0.0

    def held(self, in_hand: float) -> float:
        """Share of all requests' time."""
        total = sum(g.work for g in self.groups)
        return min(1.0, in_hand / total) if total else 0.0


def traffic(stats: Window[HaproxyStats], now: Window[HaproxyNow], *, rates: bool = True) -> Traffic:
    """Put both facts together; without ``rates`` one reading is enough, in which nothing grew.

    Raises:
        Unavailable: there is one reading only, or HAProxy began to count anew in between.

    """
    if rates and (len(stats) < 2 or stats.seconds <= 0):
        raise Unavailable("one reading of HAProxy gives no rates", "scan with a --window")
    before = {b.name: b for b in stats.first.backends}
    earlier = {(s.proxy, s.name): s for s in stats.first.servers}
    gauges = _gauges(now)
    members: dict[str, list[Served]] = {}
    for row in stats.last.servers:
        first = earlier.get((row.proxy, row.name))
        if first is not None:
            served = _served(first, row, gauges, stats.seconds, len(now))
            members.setdefault(row.proxy, []).append(served)
    load = loads(now)
    groups = [
        _group(before[row.name], row, load.get(row.name), len(now), members.get(row.name, ()))
        for row in stats.last.backends
        if row.servers and row.name in before
    ]
    return Traffic(tuple(groups), stats.seconds)


@dataclass(frozen=True, slots=True)
class _Gauge:
    in_flight: float = 0.0
    queued: float = 0.0
    unusable: bool = False


def _gauges(now: Window[HaproxyNow]) -> dict[tuple[str, str], _Gauge]:
    """Means by server; those that are in no sample were idle."""
    found: dict[tuple[str, str], _Gauge] = {}
    for sample in now:
        for load in sample.servers:
            seen = found.get((load.proxy, load.name), _Gauge())
            found[load.proxy, load.name] = _Gauge(
                seen.in_flight + load.current / len(now),
                seen.queued + load.queued / len(now),
                seen.unusable or not load.status.startswith(("UP", "no check")),
            )
    return found


def _grown(first: object, last: object, counters: Sequence[str]) -> Growth:
    grown = {name: getattr(last, name) - getattr(first, name) for name in counters}
    if min(grown.values()) < 0:
        raise Unavailable("HAProxy counts anew since it was reloaded in the window", "scan again")
    return grown


def _served(
    first: BackendServer,
    last: BackendServer,
    gauges: Mapping[tuple[str, str], _Gauge],
    window: float,
    samples: int,
) -> Served:
    gauge = gauges.get((last.proxy, last.name), _Gauge())
    since = inf if last.since is None else last.since
    return Served(
        row=last,
        grown=_grown(first, last, SERVER_COUNTERS),
        in_flight=gauge.in_flight,
        queued=gauge.queued,
        # "since" is in whole seconds, so that one may be missing.
        steady=first.usable and last.usable and not gauge.unusable and since + 1 >= window,
        fell=max(0, (last.times_down or 0) - (first.times_down or 0)),
        window=window,
        samples=samples,
    )


def _group(
    first: Backend, last: Backend, load: Load | None, samples: int, servers: Sequence[Served]
) -> Group:
    load = load or Load(0.0, 0.0, 0.0, 0.0)
    return Group(
        row=last,
        grown=_grown(first, last, BACKEND_COUNTERS),
        in_flight=load.in_flight,
        waiting=load.waiting,
        queueing=load.queueing,
        samples=samples,
        servers=tuple(servers),
    )


def loads(now: Window[HaproxyNow]) -> dict[str, Load]:
    """The load of every backend over the samples; those that are in none were idle."""
    seen: dict[str, list[BackendLoad]] = {}
    for sample in now:
        for name, load in sample.backends.items():
            seen.setdefault(name, []).append(load)
    return {
        name: Load(
            in_flight=sum(one.current + one.parting for one in known) / len(now),
            usable=sum(one.current for one in known) / len(now),
            waiting=sum(one.queued for one in known) / len(now),
            queueing=sum(one.queued > 0 for one in known) / len(now),
        )
        for name, known in seen.items()
    }


def algorithm(group: Group, cfg: HaproxyCfg | None) -> str:
    """How a backend balances, by itself or by haproxy.cfg; empty when neither tells."""
    if group.row.algorithm or cfg is None:
        return group.row.algorithm
    mine = [s for s in cfg.proxies if s.name == group.row.name and s.kind != "frontend"]
    if not mine:
        return ""
    line = cfg.setting(mine[0], "balance")
    return line.words[1] if line and len(line.words) > 1 else "roundrobin"


def sticky(group: Group, cfg: HaproxyCfg | None) -> bool:
    """Whether a cookie or a stick table is configured, by the backend itself or haproxy.cfg."""
    if group.row.cookie or cfg is None:
        return bool(group.row.cookie)
    mine = [s for s in cfg.proxies if s.name == group.row.name and s.kind != "frontend"]
    stick = ("on", "match")
    return any(
        cfg.setting(section, "cookie") is not None
        or any(line.words[1:2] and line.words[1] in stick for line in section.own("stick"))
        for section in mine
    )


def busiest(now: Window[HaproxyNow], sessions: float) -> Mapping[str, float]:
    """The backend that has the most requests in hand, and its share of the sessions."""
    found = loads(now)
    if not found or not sessions:
        return {}
    name = max(found, key=lambda key: found[key].in_flight + found[key].waiting)
    inside = found[name].in_flight + found[name].waiting
    return {f"haproxy.backend:{name}": min(1.0, inside / sessions)} if inside else {}
