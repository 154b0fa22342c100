"""An old snapshot keeps the dead rows of a queue's table, and every fetch reads through them."""

from collections.abc import Iterator
from dataclasses import dataclass

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Kind,
    Severity,
    Step,
    Window,
    check,
)
from scaledoctor.sources.postgres import Activity, Server, Statements, XminHolders
from scaledoctor.sources.postgres.queues import QueueTable, QueueTables
from scaledoctor.sources.queues import Queues
from scaledoctor.sql import literal
from scaledoctor_checks.postgres._words import duration, who
from scaledoctor_checks.queues._behind import FELT
from scaledoctor_checks.queues._fetching import DEAD, Fetching, fetching, table_of, takes
from scaledoctor_checks.queues._flow import flows

CALLS = "pg_stat_statements"
VACUUM = "pg_stat_user_tables"
HOLDERS = "pg_stat_activity, pg_prepared_xacts, pg_replication_slots, pg_stat_replication"

XIDS_UNTIMED = 10_000
"""Transactions that stand in for the age of a slot or a standby, which tell no time."""


@dataclass(frozen=True, slots=True)
class _Holder:
    words: str
    xids: int
    seconds: float | None
    command: str
    undo: str


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Shared blocks per call of the statement that takes jobs: in the window, and ever before."""

    now: float
    before: float


@dataclass(frozen=True, slots=True)
class _Case:
    """One table; ``part`` is the share of its workers' time that taking jobs costs now."""

    table: QueueTable
    first: QueueTable
    holder: _Holder
    read: _Blocks | None
    taking: Fetching
    part: float

    @property
    def wasted(self) -> float:
        """Of what a fetch reads, the share that is dead: by rows, or against fetches before."""
        rows = self.table.dead / (self.table.dead + self.table.live)
        grown = 1.0 - self.read.before / self.read.now if self.read and self.read.now else 0.0
        return max(rows, grown)


@check("queue.xmin-collapse", step=Step.OFFLOAD)
def xmin_collapse(
    tables: Window[QueueTables],
    server: Server,
    activity: Window[Activity],
    holders: XminHolders | None,
    statements: Window[Statements] | None,
    window: Window[Queues] | None,
    /,
    *,
    held: float = 30.0,
    dead: int = DEAD,
    blocks: float = 100.0,
    share: float = 0.25,
) -> Iterator[Finding]:
    """A transaction holds the dead rows of a queue's table: each fetch reads them all.

    Why: every job leaves dead rows where the next one is looked for. While an old transaction,
    slot or standby might still see them, vacuum removes none, and each fetch reads through all:
    jobs per second fall, the backlog grows, more workers make it worse.
    How measured: from ``dead`` dead rows on, not fewer at the end of the window, in a table that
    is written to, while somebody holds the xmin horizon for ``held`` seconds. They must outnumber
    the living rows, or a fetch must read ``blocks`` blocks. It costs now when taking jobs is
    ``share`` of the workers' time and keeps a session busy; otherwise it is a risk.
    Fix: end the holder; reports on a standby without hot_standby_feedback; vacuum that table more.
    When to ignore: a dump that ends in minutes, over a queue that keeps up.
    References: brandur.org/postgres-queues; River issue 59, Que issue 131; "Routine Vacuuming".
    """
    activity.last.require_visible(server)
    oldest = max(_holders(activity.last, server, holders, held), key=lambda h: h.xids, default=None)
    found = list(flows(window)) if window else []
    for table in tables.last.queues:
        first = tables.first.find(table.schema, table.name)
        if oldest is None or first is None or table.dead < max(dead, first.dead):
            continue
        written = table.updated + table.deleted > first.updated + first.deleted
        read = _blocks(statements, table)
        slow = read is not None and read.now >= blocks
        if written and (table.dead >= table.live or slow):
            mine = [f for f in found if table_of(f.queue, tables.last) is table]
            taking = fetching(activity, table) or Fetching(table, 0.0)
            part = taking.share(sum(f.busy or 0.0 for f in mine))
            costs = taking.sessions >= FELT and part >= share
            yield _finding(_Case(table, first, oldest, read, taking, part if costs else 0.0), dead)


def _finding(case: _Case, least: int) -> Finding:
    table, read = case.table, case.read
    per = f", and a fetch reads {read.now:,.0f} blocks" if read else ""
    proven = read is not None or table.vacuums > case.first.vacuums
    return Finding(
        subject=table.label,
        summary=f"{case.holder.words} keeps {table.dead:,} dead rows in {table.label} "
        f"({table.live:,} living){per}",
        severity=Severity.HIGH if case.part else Severity.MEDIUM,
        confidence=Confidence.HIGH if proven else Confidence.MEDIUM,
        evidence=tuple(_evidence(case, least)),
        fixes=tuple(_fixes(table, case.holder)),
        explains={case.taking.key: case.wasted} if case.part else {},
        impact=case.part * case.wasted,
        kind=Kind.LIVE if case.part else Kind.RISK,
    )


def _evidence(case: _Case, least: int) -> Iterator[Evidence]:
    table, first, read = case.table, case.first, case.read
    yield Evidence("dead rows", float(table.dead), "rows", float(least), VACUUM)
    yield Evidence("dead rows at the beginning", float(first.dead), "rows", source=VACUUM)
    yield Evidence("living rows", float(table.live), "rows", source=VACUUM)
    done = table.updated + table.deleted - first.updated - first.deleted
    yield Evidence("rows updated and deleted meanwhile", float(done), "rows", source=VACUUM)
    if table.vacuumed is not None:
        yield Evidence("vacuumed", duration(table.vacuumed), "ago, in vain", source=VACUUM)
    yield Evidence("xmin held back by", float(case.holder.xids), "transactions", source=HOLDERS)
    if case.holder.seconds is not None:
        yield Evidence("for", case.holder.seconds, "s", source=HOLDERS)
    if read:
        yield Evidence("blocks per fetch, in the window", read.now, "blocks", source=CALLS)
        yield Evidence("blocks per fetch, before", read.before, "blocks", source=CALLS)
    yield Evidence("sessions that take jobs, mean", case.taking.sessions, "sessions",
                   source="pg_stat_activity")  # fmt: skip
    yield Evidence("of the workers' time", case.part, "share", source="pg_stat_activity")


def _fixes(table: QueueTable, holder: _Holder) -> Iterator[Fix]:
    yield Fix(
        f"End {holder.words.rstrip(',')}",
        (holder.command, f"VACUUM (VERBOSE) {table.quoted};"),
        risk="its uncommitted work, or the standby's place in the log, is lost",
        verify=f"SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = "
        f"{literal(table.quoted)}::regclass;",
        undo=holder.undo,
    )
    if not any(option.startswith("autovacuum_vacuum_scale_factor") for option in table.tuned):
        yield Fix(
            f"Vacuum {table.label} by its churn, not by its size",
            (
                f"ALTER TABLE {table.quoted} SET (autovacuum_vacuum_scale_factor = 0, "
                "autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);",
                "-- and reports that take minutes: on a standby with hot_standby_feedback = off",
            ),
            risk="vacuum comes every few seconds, and only helps once nobody holds the horizon",
            verify="SELECT last_autovacuum FROM pg_stat_user_tables;",
            undo=f"ALTER TABLE {table.quoted} RESET (autovacuum_vacuum_scale_factor, "
            "autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay);",
        )


def _blocks(statements: Window[Statements] | None, table: QueueTable) -> _Blocks | None:
    """Of the statement that took most time among those that take jobs; None where none is seen."""
    if statements is None or len(statements) < 2:
        return None
    before = {s.key: s for s in statements.first.statements}
    grown = [
        (s.seconds - b.seconds, (s.blocks - b.blocks) / (s.calls - b.calls), b)
        for s in statements.last.statements
        if (b := before.get(s.key)) and s.calls > b.calls and takes(table, s.query)
    ]
    if not grown:
        return None
    _, now, b = max(grown, key=lambda g: g[0])
    return _Blocks(now, b.blocks / b.calls if b.calls else 0.0)


def _holders(
    activity: Activity, server: Server, holders: XminHolders | None, held: float
) -> Iterator[_Holder]:
    """Whoever holds the rows of this database's tables: its sessions, and what has no database."""
    for session in activity.sessions:
        age = session.transaction_age or 0.0
        if session.database == server.database and session.xid_age is not None and age >= held:
            command = f"SELECT pg_terminate_backend({session.pid});"
            words = f"{who(session)}, in a transaction for {duration(age)},"
            yield _Holder(words, session.xid_age, age, command, "run it again")
    for holder in holders.holders if holders else ():
        timed = holder.seconds is not None
        old = (holder.seconds or 0.0) >= held if timed else holder.xid_age >= XIDS_UNTIMED
        if holder.catalog or not old:
            continue
        name = literal(holder.name)
        command, undo = {
            "prepared transaction": (f"ROLLBACK PREPARED {name};", "none"),
            "replication slot": (f"SELECT pg_drop_replication_slot({name});", "create it again"),
        }.get(holder.kind, ("-- on the standby: SET hot_standby_feedback = off", "on again"))
        words = f"{holder.kind} {holder.name}"
        yield _Holder(words, holder.xid_age, holder.seconds, command, undo)
