"""The pools of the applications in front of PgBouncer: too large, or a single connection."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Kind, Severity, Step, Window, check
from scaledoctor.sources.pgbouncer import (
    PoolerClients,
    PoolerConfig,
    PoolerDatabases,
    PoolerPools,
    PoolerStats,
    PoolerUsers,
)
from scaledoctor.sources.postgres import Activity, Server
from scaledoctor_checks.pooling._application import Application, applications, smaller_pool
from scaledoctor_checks.pooling._load import loads
from scaledoctor_checks.pooling._setup import Setup

SOURCE = "SHOW CLIENTS at both edges of the window"


@check("pgbouncer.application-pool-large", step=Step.POOL)
def application_pool_large(
    clients: Window[PoolerClients],
    config: PoolerConfig,
    /,
    *,
    idle: float = 0.8,
    fewest: int = 20,
    share: float = 0.25,
) -> Iterator[Finding]:
    """An application keeps far more connections to PgBouncer than it ever uses.

    Why: they cost little each, but they are what fills max_client_conn at the next deployment or
    with one more instance.
    How measured: at least ``fewest`` clients of one application, ``share`` of max_client_conn, of
    which ``idle`` had no server and wanted none in any of our readings. A risk: two readings may
    miss the busiest moment.
    Fix: a smaller pool in the application.
    When to ignore: an application that is sized for a peak hour.
    References: "About Pool Sizing", HikariCP.
    """
    limit = config.number("max_client_conn", 100)
    for application in applications(clients):
        count, needed = application.clients, application.advised * application.instances
        if count < max(fewest, share * limit) or count - application.busy < idle * count:
            continue
        if needed < count:
            yield Finding(
                subject=application.label,
                summary=(
                    f"{application.label} holds {count} of {limit:.0f} client connections, of "
                    f"which at most {application.busy} had or wanted a server"
                ),
                severity=Severity.LOW,
                confidence=Confidence.MEDIUM,
                evidence=(
                    Evidence("its clients", float(count), f"of {limit:.0f}", share * limit, SOURCE),
                    Evidence("most with or waiting for a server", float(application.busy),
                             "clients", (1 - idle) * count, SOURCE),
                    Evidence("addresses", float(application.instances), source=SOURCE),
                ),
                fixes=(smaller_pool(application),),
                kind=Kind.RISK,
            )  # fmt: skip


@check("pgbouncer.application-pool-single", step=Step.POOL)
def application_pool_single(
    clients: Window[PoolerClients],
    window: Window[PoolerPools],
    stats: Window[PoolerStats] | None,
    config: PoolerConfig | None,
    databases: PoolerDatabases | None,
    users: PoolerUsers | None,
    activity: Window[Activity],
    server: Server,
    /,
    *,
    busy: float = 0.8,
    long: float = 1.0,
    room: float = 0.5,
) -> Iterator[Finding]:
    """An application queues for its one connection while pooler and database idle.

    Why: with a pool of one, every request of an instance waits for the one before; PgBouncer shows
    one client and no queue, PostgreSQL next to nothing.
    How measured: one client per address, never idle when we looked, and its session in a
    transaction in ``busy`` of the samples of pg_stat_activity, in transactions shorter than
    ``long`` seconds, so that it is no long statement; the pool uses less than ``room`` of its
    size. The queue itself is inside the application and cannot be seen from here: low confidence.
    Fix: a larger pool in the application.
    When to ignore: a job that has one connection by design and is in no hurry.
    References: "About Pool Sizing", HikariCP.
    """
    activity.last.require_visible(server)
    free = {
        load.key
        for load in loads(window, stats, Setup(config, databases, users))
        if not load.queues() and load.limit and load.busy < room * load.limit
    }
    for application in applications(clients):
        if not application.always or application.clients != application.instances:
            continue
        share, longest = _use(application, activity)
        if share < busy or longest >= long or any(g.key not in free for g in application.groups):
            continue
        yield _single(application, share, longest)


def _use(application: Application, activity: Window[Activity]) -> tuple[float, float]:
    """Share of its connections in a transaction, and the longest transaction, over the samples."""
    seen = [s for a in activity for s in a.sessions if s.label == application.label]
    working = [s for s in seen if s.state != "idle"]
    every = application.clients * len(activity)
    return len(working) / every, max((s.transaction_age or 0.0 for s in working), default=0.0)


def _single(application: Application, share: float, longest: float) -> Finding:
    count = application.clients
    one = (
        "its only connection" if count == 1 else f"the one connection of each of {count} instances"
    )
    return Finding(
        subject=application.label,
        summary=(
            f"{application.label} keeps {one} busy {share:.0%} of the time, in transactions of at "
            f"most {longest * 1000:.0f} ms, while pooler and PostgreSQL have room: what else it "
            "has to do queues inside it"
        ),
        severity=Severity.MEDIUM,
        confidence=Confidence.LOW,
        evidence=(
            Evidence("connections per instance", 1.0, source=SOURCE),
            Evidence("of the samples in a transaction", share, "share", 0.8, "pg_stat_activity"),
            Evidence("longest transaction seen", longest, "s", 1.0, "pg_stat_activity"),
        ),
        fixes=(
            Fix(
                f"Give {application.label} a pool of 5 connections per instance",
                (
                    "# psycopg: psycopg_pool.ConnectionPool(url, min_size=2, max_size=5)",
                    "# SQLAlchemy: create_engine(url, pool_size=5)   HikariCP: maximumPoolSize=5",
                ),
                language="text",
                risk="five transactions of one instance at once: they may wait for each other's "
                "locks",
                verify="requests get faster; scaledoctor scan again: its connections are idle "
                "some of the time",
                undo="the old pool size",
            ),
        ),
        # How many requests wait for it is not seen here.
        impact=0.5 * share,
    )
