"""What pg_stat_statements alone shows of N+1: counts that fit, no proof."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scaledoctor.logs.nplusone.idioms import idioms
from scaledoctor.logs.nplusone.report import RepeatedQueries
from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Kind,
    Severity,
    Step,
    Unavailable,
    Window,
    check,
)
from scaledoctor.sources.host import CpuTimes, HostInfo, Processes
from scaledoctor.sources.postgres import Activity, Server, Statements
from scaledoctor.sql.look_ups import LookUp, Relation, look_up, main_table, points_to
from scaledoctor.sql.outline import Does, outline
from scaledoctor_checks.app._repeats import LOG_ALL, UNDO
from scaledoctor_checks.host._use import busy, tells
from scaledoctor_checks.postgres._heavy import Heavy, database_share, heavy
from scaledoctor_checks.postgres._words import statement

SOURCE = "pg_stat_statements over the window"

OF_ALL = 0.25
"""Share of a full machine's cores from which the suspicion explains why it is full."""


@check("app.n-plus-one-suspected", step=Step.TIGHTEN, about=("host.cpu",))
def n_plus_one_suspected(
    server: Server,
    activity: Window[Activity],
    statements: Window[Statements],
    logs: list[RepeatedQueries] | None = None,
    processes: Window[Processes] | None = None,
    cpu: Window[CpuTimes] | None = None,
    info: HostInfo | None = None,
    /,
    *,
    ratio: float = 5.0,
    fewest: int = 100,
    lists: int = 5,
    spread: float = 0.25,
) -> Iterator[Finding]:
    """A look-up is called as often as a list gives rows: that may be an N+1.

    Why: a page that asks again for each row of its list waits for a round trip each time; the
    server's own time for it is small, so that no list of slow statements shows it.
    How measured: growth of pg_stat_statements over the window. A look-up by one column, called
    ``fewest`` times or more and at least ``ratio`` times as often as a statement that was called
    ``lists`` times or more and gives several rows; its calls are the rows that the list gave, to
    within ``spread``, and the names say that one belongs to the other. Counts alone prove
    nothing: it is a risk of low confidence, unless it takes a quarter of a machine's full cores.
    Not looked at where a SQL log was read, which tells it exactly.
    Fix: log all statements for a minute and look again with --log; then load the rows together.
    When to ignore: clients that ask for the rows of a list one by one on purpose.
    References: PostgreSQL manual, pg_stat_statements and log_min_duration_statement.
    """
    if logs:
        return
    if len(statements) < 2:
        raise Unavailable("one reading gives no counts", "scan with --window 10")
    found = heavy(activity, statements)
    rows = list(_lists(found, lists))
    full = _full(server, cpu, info)
    for child in found:
        asked = look_up(child.query) if child.calls >= fewest else None
        fitting = _fitting(child, asked, rows, ratio, spread) if asked else []
        if asked and fitting:
            above = min(fitting, key=lambda one: abs(child.calls / one.one.rows - 1))
            share = child.share * database_share(server, processes)
            yield _finding(child, asked, above, share if full and share >= OF_ALL else 0.0)


@dataclass(frozen=True, slots=True)
class _List:
    """A statement that gives several rows per call."""

    one: Heavy
    table: str


def _lists(found: Sequence[Heavy], fewest: int) -> Iterator[_List]:
    for one in found:
        if one.calls >= fewest and one.rows >= 2 * one.calls:
            drawn = outline(one.query)
            if drawn.does is Does.READ and drawn.many:
                yield _List(one, main_table(one.query))


def _fitting(
    child: Heavy, asked: LookUp, rows: Sequence[_List], ratio: float, spread: float
) -> list[_List]:
    """The lists whose rows may be what it was called for."""
    single = asked.relation in (Relation.BELONGS_TO, Relation.COUNT)
    if asked.relation is Relation.UNKNOWN or (single and child.rows > 1.05 * child.calls):
        return []
    return [
        above
        for above in rows
        if above.one.key != child.key
        and child.calls >= ratio * above.one.calls
        and abs(child.calls / above.one.rows - 1) <= spread
        and points_to(asked, above.one.query, above.table)
    ]


def _full(server: Server, cpu: Window[CpuTimes] | None, info: HostInfo | None) -> bool:
    used = busy(cpu) if cpu and tells(info, local=server.local) else None
    return used is not None and info is not None and used.full(info.cores, 0.9)


def _finding(child: Heavy, asked: LookUp, above: _List, share: float) -> Finding:
    times = child.calls / above.one.calls
    return Finding(
        subject=f"{asked.table}({asked.column}) for each row of {above.table}",
        summary=f"Suspected N+1: {asked.table}.{asked.column} is asked {times:,.0f} times for each "
        f"list of {above.table}, which gives {above.one.rows / above.one.calls:,.0f} rows: "
        f"{statement(child.query, 60)}",
        severity=Severity.MEDIUM if share else Severity.LOW,
        confidence=Confidence.LOW,
        evidence=(
            Evidence("calls of the look-up per call of the list", times, "", 5.0, SOURCE),
            Evidence("rows per call of the list", above.one.rows / above.one.calls, "rows",
                     source=SOURCE),
            Evidence("calls of the look-up", float(child.calls), "calls", source=SOURCE),
            Evidence("time per call of the look-up", child.mean * 1000, "ms", source=SOURCE),
            Evidence("share of statement time", child.share, "share", source=SOURCE),
            Evidence("the list", statement(above.one.query, 200), source=SOURCE),
        ),
        fixes=tuple(_fixes(child, asked, above)),
        explains={"host.cpu": share} if share else {},
        impact=child.share if share else 0.0,
        kind=Kind.LIVE if share else Kind.RISK,
    )  # fmt: skip


def _fixes(child: Heavy, asked: LookUp, above: _List) -> Iterator[Fix]:
    yield Fix(
        "Prove it: log all statements for a minute, then scan the log",
        (*LOG_ALL, "SELECT pg_sleep(60);", UNDO,
         "-- then: scaledoctor scan --log FILE, with the file of: SELECT pg_current_logfile();"),
        risk="every statement is written to the log: on a busy server watch its disk, and the "
        "log holds the statements' values",
        verify="scaledoctor scan --log FILE names the request, or nothing",
        undo=UNDO,
    )  # fmt: skip
    lines = idioms(asked.relation, above.table, asked.table, asked.column, child.query)
    if lines:
        yield Fix(
            f"If it is one: load {asked.table} together with {above.table}",
            lines,
            language="text",
            risk="names of models are guessed from tables",
            verify="scaledoctor scan again: as many calls of one as of the other",
            undo="take the change back",
        )
