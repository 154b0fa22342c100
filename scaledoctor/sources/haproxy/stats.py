"""HAProxy's counters since its start: frontends, backends and their servers, at both edges."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from scaledoctor.sdk import Cadence, Unavailable, fact, probe
from scaledoctor.sources.haproxy._csv import BACKEND, FRONTEND, SERVER, Row, count, number, rows
from scaledoctor.sources.haproxy.session import HaproxySession, Key

LISTED = 2_000
"""Servers whose rows are kept: about 1 MB in a snapshot. The rest is in its backend's sums."""


@dataclass(frozen=True, slots=True)
class Frontend:
    """Sessions now, the limit of them, sessions and requests so far, and what was denied."""

    name: str
    mode: str
    current: int
    limit: int | None
    total: int
    requests: int
    denied: int


@dataclass(frozen=True, slots=True)
class Backend:
    """One backend's counters, and sums over all its servers.

    ``algorithm`` and ``cookie`` are empty unless the socket's level is operator or the page shows
    its legends. ``errors`` are all its answers of 5xx, ``server_errors`` those that its servers
    made. ``failed_connects`` counts requests that found no server or timed out in the queue too.
    ``down`` are servers that a check took out, ``parked`` those in maintenance, draining or of
    weight 0. ``limit`` is the sum of the other servers' maxconn, None when one of them has none;
    what the CSV calls the limit of a backend is its fullconn, which limits nothing.
    """

    name: str
    mode: str
    algorithm: str
    cookie: str
    requests: int
    errors: int
    server_errors: int
    failed_connects: int
    failed_answers: int
    retries: int
    redispatches: int
    servers: int
    down: int
    parked: int
    limit: int | None


@dataclass(frozen=True, slots=True)
class BackendServer:
    """One server's state and its counters since HAProxy started.

    ``placed`` are requests that the balancing algorithm gave it; ``errors`` its own answers of
    5xx, ``upgrades`` those of 1xx, behind which a websocket may stay for hours. ``since`` are the
    seconds since its state last changed. ``limit`` is its maxconn; ``slow_start`` says that its
    weight is still growing after it came up.
    """

    proxy: str
    name: str
    status: str
    check: str
    code: int | None
    words: str
    weight: int
    backup: bool
    limit: int | None
    requests: int
    placed: int
    errors: int
    upgrades: int
    failed_connects: int
    failed_answers: int
    retries: int
    redispatches: int
    slow_start: bool
    failed_checks: int | None
    times_down: int | None
    since: int | None

    @property
    def parked(self) -> bool:
        """In maintenance, draining or of weight 0: it shall get nothing new."""
        return self.status.startswith(("MAINT", "DRAIN", "NOLB")) or self.weight == 0

    @property
    def down(self) -> bool:
        """A health check or an agent took it out."""
        return self.status.startswith("DOWN")

    @property
    def checked(self) -> bool:
        """Whether anybody looks if it works."""
        return self.status != "no check"

    @property
    def usable(self) -> bool:
        """It can be given a request."""
        return not self.parked and not self.down


@fact
@dataclass(frozen=True, slots=True)
class HaproxyStats:
    """One reading of all proxies; ``unlisted`` counts servers known from their sums only."""

    frontends: tuple[Frontend, ...]
    backends: tuple[Backend, ...]
    servers: tuple[BackendServer, ...]
    unlisted: int


@probe(cost="1 command or page, about 0.5 kB for each server, twice", cadence=Cadence.EDGES)
async def stats(haproxy: HaproxySession) -> HaproxyStats:
    """Read the CSV; the event loop goes on meanwhile."""
    import asyncio

    text = await haproxy.stat()
    return await asyncio.to_thread(_stats, haproxy, text)


def choose(haproxy: HaproxySession, found: Iterable[Row]) -> frozenset[Key]:
    """Servers of the backends with the most requests first, those that are down before others."""
    if haproxy.listed is None:
        table = list(found)
        requests = {r["pxname"]: number(r, "stot") for r in table if r["type"] == BACKEND}
        servers = [r for r in table if r["type"] == SERVER]
        servers.sort(
            key=lambda r: (
                -requests.get(r["pxname"], 0),
                r["pxname"],
                not r.get("status", "").startswith("DOWN"),
            )
        )
        haproxy.listed = frozenset((r["pxname"], r["svname"]) for r in servers[:LISTED])
    return haproxy.listed


def _stats(haproxy: HaproxySession, text: str) -> HaproxyStats:
    found = list(rows(text))
    if not found:
        raise Unavailable("HAProxy shows no proxy here", "does 'stats scope' hide them?")
    listed = choose(haproxy, found)
    members: dict[str, list[BackendServer]] = defaultdict(list)
    kept: list[BackendServer] = []
    for row in found:
        if row["type"] == SERVER:
            server = _server(haproxy, row)
            members[row["pxname"]].append(server)
            if (row["pxname"], row["svname"]) in listed:
                kept.append(server)
    return HaproxyStats(
        frontends=tuple(_frontend(haproxy, r) for r in found if r["type"] == FRONTEND),
        backends=tuple(
            _backend(haproxy, r, members[r["pxname"]]) for r in found if r["type"] == BACKEND
        ),
        servers=tuple(kept),
        unlisted=sum(map(len, members.values())) - len(kept),
    )


def _frontend(haproxy: HaproxySession, row: Row) -> Frontend:
    return Frontend(
        name=haproxy.name(row["pxname"]),
        mode=row.get("mode", ""),
        current=number(row, "scur"),
        limit=count(row, "slim"),
        total=number(row, "stot"),
        requests=number(row, "req_tot"),
        denied=number(row, "dreq") + number(row, "dcon") + number(row, "dses"),
    )


def _backend(haproxy: HaproxySession, row: Row, members: list[BackendServer]) -> Backend:
    limits = [s.limit for s in members if s.usable]
    known = [limit for limit in limits if limit is not None]
    return Backend(
        name=haproxy.name(row["pxname"]),
        mode=row.get("mode", ""),
        algorithm=haproxy.text(row.get("algo", "")),
        cookie=haproxy.text(row.get("cookie", "")),
        requests=number(row, "stot"),
        errors=number(row, "hrsp_5xx"),
        server_errors=sum(s.errors for s in members),
        failed_connects=number(row, "econ"),
        failed_answers=number(row, "eresp"),
        retries=number(row, "wretr"),
        redispatches=number(row, "wredis"),
        servers=len(members),
        down=sum(s.down for s in members),
        parked=sum(s.parked for s in members),
        limit=sum(known) if known and len(known) == len(limits) else None,
    )


def _server(haproxy: HaproxySession, row: Row) -> BackendServer:
    return BackendServer(
        proxy=haproxy.name(row["pxname"]),
        name=haproxy.name(row["svname"]),
        status=haproxy.text(row.get("status", "")),
        check=row.get("check_status", "").removeprefix("* ")[:20],  # "* ": one is under way
        code=count(row, "check_code"),
        words=haproxy.text(row.get("last_chk", "")),
        weight=number(row, "weight"),
        backup=row.get("bck") == "1",
        limit=count(row, "slim") or None,
        requests=number(row, "stot"),
        placed=number(row, "lbtot"),
        errors=number(row, "hrsp_5xx"),
        upgrades=number(row, "hrsp_1xx"),
        failed_connects=number(row, "econ"),
        failed_answers=number(row, "eresp"),
        retries=number(row, "wretr"),
        redispatches=number(row, "wredis"),
        slow_start=(count(row, "throttle") or 100) < 100,
        failed_checks=count(row, "chkfail"),
        times_down=count(row, "chkdown"),
        since=count(row, "lastchg"),
    )
