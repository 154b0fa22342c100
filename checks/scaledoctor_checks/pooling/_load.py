"""Pools over the window: how busy, how long the queue, and what limits them."""

from collections.abc import Sequence
from dataclasses import dataclass

from scaledoctor.sdk import Window
from scaledoctor.sources.pgbouncer import Pool, PoolerDatabase, PoolerPools, PoolerStats
from scaledoctor_checks.pooling._setup import Cap, Setup, Size

WAITING = 1.0
"""Mean waiting clients from which a pool has a queue; single waiters come and go in any pool."""

SHARE = 0.2
"""Share of a transaction's time that is spent waiting for a server; short waits of a few clients
are normal in production (paradedb/charts #259)."""

SECONDS = 0.05
"""Wait per transaction; a tenth of a second is what people begin to notice, and a request has
more than one transaction."""


@dataclass(frozen=True, slots=True)
class Left:
    """A cap that a pool shares, and the mean busy servers of the others that draw on it."""

    cap: Cap
    others: float

    @property
    def servers(self) -> float:
        """What is left: idle servers of others are evicted when they are needed."""
        return max(0.0, self.cap.most - self.others)


@dataclass(frozen=True, slots=True)
class Load:
    """One pool; ``busy``, ``servers``, ``waiting`` and ``clients`` are means, the rest peaks.

    ``sized`` and ``reserve`` are the effective ones. ``limit`` is what it could have had: its size
    (and what it had of the reserve), or what others leave of a ``cap``, if that is less. ``rate``
    is in transactions per second, None when unknown; ``ready`` says that a server was logged in
    at some time, ``starved`` is the share of samples in which clients waited with none, ``paused``
    that an administrator stopped it.
    """

    pool: Pool
    busy: float
    servers: float
    waiting: float
    clients: float
    maxwait: float
    ready: bool
    starved: float
    sized: Size
    reserve: int
    limit: float
    cap: Left | None
    rate: float | None
    database: PoolerDatabase | None
    paused: bool = False

    @property
    def key(self) -> str:
        """database/user."""
        return self.pool.key

    @property
    def resource(self) -> str:
        """By which findings explain it."""
        return f"pgbouncer.pool:{self.key}"

    @property
    def share(self) -> float:
        """Share of the clients' time in transactions that they wait for a server."""
        return self.waiting / (self.waiting + self.busy) if self.waiting else 0.0

    @property
    def service(self) -> float | None:
        """Seconds that a transaction holds a server, by Little's law; None when none ended."""
        return self.busy / self.rate if self.rate else None

    @property
    def wait(self) -> float:
        """Seconds that a transaction waits; the oldest wait seen when no rate is known."""
        return self.waiting / self.rate if self.rate else self.maxwait

    @property
    def size(self) -> int:
        """Its own size; 0 when it has none."""
        return self.sized.most

    @property
    def setting(self) -> str:
        """What limits it."""
        return self.cap.cap.setting if self.cap else self.sized.setting

    @property
    def squeezed(self) -> bool:
        """Others hold more than half of the cap that limits it; else the cap is its own limit."""
        return self.cap is not None and self.cap.others > self.cap.cap.most / 2

    @property
    def dead(self) -> bool:
        """Clients wait and no server was ever logged in, though it could have had one."""
        alone = self.starved > 0 and not self.ready
        return alone and not self.paused and (self.limit >= 1 or not self.size)

    def queues(
        self, waiting: float = WAITING, share: float = SHARE, seconds: float = SECONDS
    ) -> bool:
        """Whether clients wait, many of them, for much of their time, and long enough to notice."""
        return self.waiting >= waiting and self.share >= share and self.wait >= seconds

    @property
    def full(self) -> bool:
        """Nine tenths of what it could have are linked to clients."""
        return 0 < 0.9 * self.limit <= self.busy


def crowds(load: Load, found: Sequence[Load]) -> bool:
    """Whether others wait because this pool holds the cap that they share."""
    cap = load.cap.cap if load.cap else None
    return any(o.squeezed and o.waiting and o.cap and o.cap.cap == cap for o in found)


def loads(
    window: Window[PoolerPools], stats: Window[PoolerStats] | None, setup: Setup
) -> list[Load]:
    """Return every pool that was seen, the longest queue first."""
    seen: dict[str, list[Pool]] = {}
    for sample in window:
        for pool in sample.pools:
            seen.setdefault(pool.key, []).append(pool)
    found = [
        _load(
            pools, len(window), _rate(window, stats, pools[-1]), setup, _left(window, pools, setup)
        )
        for pools in seen.values()
    ]
    return sorted(found, key=lambda load: (-load.waiting, -load.busy, load.key))


def _load(
    pools: Sequence[Pool],
    samples: int,
    rate: float | None,
    setup: Setup,
    left: Left | None,
) -> Load:
    most = max(p.servers for p in pools)
    sized = setup.size(pools[-1], most)
    size = sized.most
    reserve, database = setup.reserve(pools[-1]), setup.database(pools[-1].database)
    # The reserve opens one server at a time, each after reserve_pool_timeout of waiting.
    limit = float(max(size, min(most, size + reserve)) if size else 0)
    tight = left is not None and (left.servers < limit or not size)
    return Load(
        pool=pools[-1],
        busy=sum(p.active for p in pools) / samples,
        servers=sum(p.servers for p in pools) / samples,
        waiting=sum(p.waiting for p in pools) / samples,
        clients=sum(p.clients + p.waiting for p in pools) / samples,
        maxwait=max(p.maxwait for p in pools),
        ready=any(p.ready for p in pools),
        starved=sum(bool(p.waiting and not p.ready) for p in pools) / samples,
        sized=sized,
        reserve=reserve,
        limit=left.servers if left and tight else limit,
        cap=left if tight else None,
        rate=rate,
        database=database,
        paused=setup.stopped or bool(database and database.paused),
    )


def _left(window: Window[PoolerPools], pools: Sequence[Pool], setup: Setup) -> Left | None:
    """The tightest cap of a pool; of two alike the one that others have less of."""
    mine, found = pools[-1], list[Left]()
    for cap in setup.caps(mine):
        others = sum(p.active for s in window for p in s.pools if cap.over(p) and p.key != mine.key)
        found.append(Left(cap, others / len(window)))
    return min(found, key=lambda left: (left.servers, left.others), default=None)


def _rate(
    window: Window[PoolerPools], stats: Window[PoolerStats] | None, pool: Pool
) -> float | None:
    """Transactions per second of the pool.

    PgBouncer counts by database: of one with several pools each has its share of the busy servers.
    """
    rate = stats.rate(lambda s: s.transactions(pool.database)) if stats else None
    if rate is None:
        return None
    siblings = [p for s in window for p in s.pools if p.database == pool.database]
    every = sum(p.active for p in siblings)
    return rate * sum(p.active for p in siblings if p.key == pool.key) / every if every else 0.0
