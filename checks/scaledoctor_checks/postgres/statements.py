"""Which statement takes the database's time, and whether it wastes it."""

from collections.abc import Iterator, Mapping

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Severity,
    Step,
    Window,
    check,
)
from scaledoctor.sources.host import CpuTimes, HostInfo, Processes
from scaledoctor.sources.pgbouncer import PoolerDatabases, PoolerPools, PoolerServers
from scaledoctor.sources.postgres import Activity, Plans, Server, Settings, Statements, Tables
from scaledoctor.sources.postgres.queues import QueueTables
from scaledoctor.sources.redis.traffic import RedisTraffic
from scaledoctor_checks.host._use import busy as use_of
from scaledoctor_checks.host._use import tells
from scaledoctor_checks.pooling._inside import inside
from scaledoctor_checks.postgres._advice import Advice, advice
from scaledoctor_checks.postgres._asleep import sleepers_crowd
from scaledoctor_checks.postgres._explain import plan_fix
from scaledoctor_checks.postgres._heavy import (
    ALONE,
    DOMINANT,
    Heavy,
    database_share,
    heavy,
)
from scaledoctor_checks.postgres._maintenance import maintenance
from scaledoctor_checks.postgres._tree import drawn
from scaledoctor_checks.postgres._words import duration, statement
from scaledoctor_checks.queues._fetching import among_dead
from scaledoctor_checks.redis._database import tie

SOURCE = "pg_stat_statements over the window, pg_stat_activity samples"

AWAKE = Fix(
    "Sleep in the application, without a connection",
    (
        "-- give the connection back before the pause, take one again after it",
        "-- a poller of jobs: LISTEN, and NOTIFY by whoever puts a job in, needs no pause",
    ),
    language="text",
    risk="a change in the application",
    verify="SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep';",
    undo="deploy the version before",
)

SMALL = 100
"""Pages below which a sequential scan is never a problem (traps: tables under ~100 pages)."""


@check("postgres.statement-share", step=Step.TIGHTEN, about=("host.cpu", "pgbouncer.pool"))
def statement_share(
    server: Server,
    activity: Window[Activity],
    statements: Window[Statements] | None,
    tables: Tables | None,
    processes: Window[Processes] | None,
    cpu: Window[CpuTimes] | None,
    info: HostInfo | None,
    servers: Window[PoolerServers] | None = None,
    pooled: PoolerDatabases | None = None,
    settings: Settings | None = None,
    queue: Window[PoolerPools] | None = None,
    traffic: Window[RedisTraffic] | None = None,
    plans: Plans | None = None,
    jobs: QueueTables | None = None,
    /,
    *,
    share: float = DOMINANT,
    sessions: float = 0.5,
    per_second: float = 0.2,
    blocks_per_call: float = 200.0,
    blocks_per_row: float = 50.0,
    slow: float = 1.0,
) -> Iterator[Finding]:
    """One statement takes most of the database's time and does needless work.

    Why: what it reads in vain is CPU and memory bandwidth that every other statement lacks.
    How measured: growth of pg_stat_statements over the window joined with samples of
    pg_stat_activity, so that a statement that never finishes is seen too. Fires at ``share`` of
    all statements' time and ``sessions`` sessions busy with it on average, if it touches
    ``blocks_per_call`` blocks at ``blocks_per_row`` per row, or takes ``slow`` seconds. A cheap
    statement that is merely frequent is reported as information, and so is a report or a job: one
    session, fewer than ``per_second`` calls, on a machine whose cores nobody queues for. One that
    sleeps on purpose, as pollers of jobs do, counts only where such sessions take half of the
    slots, or of a pool with a queue. Its share of a PgBouncer pool is that of the pool's busy
    servers which run it. Called as often as a cache in Redis has misses, it waits for that cache;
    one that takes jobs from a table of dead rows, for whoever keeps them there.
    Its plan is asked for without running it, with values out of the planner's statistics in place
    of its parameters, and an index is tried on it with HypoPG where that is there.
    Fix: the index that its plan lacks, when one would help; else the type of a parameter, a
    trigram index, or a look at its plan.
    When to ignore: a report that runs when nobody waits.
    References: PostgreSQL manual, pg_stat_statements; "Indexes".
    """
    activity.last.require_visible(server)
    seconds = max(activity.seconds, 1.0)
    pools = inside(servers, pooled, activity)
    missed = tie(traffic, activity, statements)
    crowd = sleepers_crowd(activity, settings, queue, pools)
    for one in heavy(activity, statements, sleepers=crowd)[:3]:
        if one.share < share or one.seconds / seconds < sessions:
            return
        alone = one.seconds / seconds < ALONE and one.calls < per_second * seconds
        wasteful = one.wasteful(blocks_per_call, blocks_per_row, slow)
        wasteful = wasteful and (not alone or _queued(server, cpu, info))
        yield _finding(
            one,
            advice(one, plans, tables, SMALL),
            wasteful=wasteful,
            server=server,
            share=share,
            busy=one.seconds / seconds,
            behind={
                "redis.misses": missed.behind(one) if missed else 0.0,
                **among_dead(jobs, one.query),
            },
            explains={
                "host.cpu": database_share(server, processes) * one.share * (1 - one.blocked),
                **{f"pgbouncer.pool:{key}": seen.share(one.run_by) for key, seen in pools.items()},
            },
        )


def _queued(server: Server, cpu: Window[CpuTimes] | None, info: HostInfo | None) -> bool:
    """Whether tasks queue for the cores of the database's machine; False when not seen."""
    used = use_of(cpu) if tells(info, local=server.local) and cpu else None
    return used is not None and info is not None and used.full(info.cores, 0.9)


def _finding(
    one: Heavy,
    told: Advice,
    *,
    wasteful: bool,
    server: Server,
    share: float,
    busy: float,
    behind: Mapping[str, float],
    explains: Mapping[str, float],
) -> Finding:
    scans = told.index is not None and one.blocks_per_call >= told.pages / 2
    locked = one.blocked >= 0.5
    severity = Severity.CRITICAL if one.share >= 0.6 else Severity.HIGH
    return Finding(
        subject=told.subject or one.query[:200],
        summary=_summary(one, told, scans=scans),
        severity=severity if wasteful and not locked else Severity.INFO,
        confidence=Confidence.HIGH if scans or told.sure else Confidence.MEDIUM,
        evidence=(
            Evidence("share of statement time", one.share, "share", share, SOURCE),
            Evidence("sessions busy with it, mean", busy, "sessions", source=SOURCE),
            Evidence("time per call", one.mean * 1000, "ms", source=SOURCE),
            Evidence("calls in the window", float(one.calls), "calls", source=SOURCE),
            Evidence("blocks per call", one.blocks_per_call, "blocks of 8 kB", source=SOURCE),
            Evidence("rows per call", one.rows / one.calls if one.calls else 0.0, "rows",
                     source=SOURCE),
            Evidence("share of its time waiting for others", one.blocked, "share", source=SOURCE),
            *told.evidence(),
        ),
        fixes=tuple(_fixes(one, told, server)),
        explains={resource: part for resource, part in explains.items() if part},
        waits_for={"postgres.locks": one.blocked, **{k: v for k, v in behind.items() if v}},
        impact=one.share * (1 - one.blocked) if wasteful else 0.0,
        plan=drawn(told.plan),
    )  # fmt: skip


def _summary(one: Heavy, told: Advice, *, scans: bool) -> str:
    head = f"{one.share:.0%} of statement time goes to {statement(one.query, 70)}"
    each = f"{one.mean * 1000:.0f} ms a call" if one.calls else f"running for {one.longest:.0f} s"
    if not told.why:
        return f"{head} ({each}, {one.blocks_per_call:,.0f} blocks)"
    reads = (
        f", so each call reads {one.blocks_per_call:,.0f} of its {told.pages:,} pages for "
        f"{one.rows / max(one.calls, 1):,.0f} rows"
    )
    return f"{head} ({each}): {told.why}{reads if scans else ''}{told.proof}"


def _fixes(one: Heavy, told: Advice, server: Server) -> Iterator[Fix]:
    if fix := maintenance(one.query, server.database, server.major):
        yield fix
        return
    if one.slept:
        yield AWAKE
        return
    if fix := told.fix():
        yield fix
        return
    verify = f"its time per call falls below {duration(one.mean)}"
    yield from plan_fix("Look at its plan", one.query, server.major, verify)
