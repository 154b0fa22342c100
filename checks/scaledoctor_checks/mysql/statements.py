"""Which statement takes MySQL's time, and whether it wastes it."""

from collections.abc import Iterator
from dataclasses import dataclass

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Severity, Step, Window, check
from scaledoctor.sources.host import Processes, cores_by_label
from scaledoctor.sources.mysql import MysqlDigest, MysqlDigests, MysqlServer
from scaledoctor_checks.mysql._index import index_for
from scaledoctor_checks.postgres._words import statement

SOURCE = "performance_schema digests over the window"
PROGRAMS = ("mariadbd", "mysqld")


@dataclass(frozen=True, slots=True)
class _Grown:
    """One statement's growth in the window, and its share of all statements' time."""

    text: str
    key: str
    calls: int
    seconds: float
    locked: float
    examined: int
    sent: int
    unindexed: int
    share: float

    @property
    def ratio(self) -> float:
        """Rows looked at for each row that came out."""
        return self.examined / max(self.sent, self.calls, 1)


@check("mysql.slow-statement", step=Step.TIGHTEN)
def slow_statement(
    server: MysqlServer,
    digests: Window[MysqlDigests],
    processes: Window[Processes] | None,
    /,
    *,
    share: float = 0.2,
    sessions: float = 0.5,
    rows: float = 1000.0,
    ratio: float = 100.0,
    slow: float = 1.0,
) -> Iterator[Finding]:
    """One statement takes much of the server's time and looks at rows in vain.

    Why: what it reads in vain is time that every other statement lacks.
    How measured: growth of performance_schema's digests over the window. Fires at ``share`` of
    all statements' time and ``sessions`` threads busy with it on the mean, when a call looks at
    ``rows`` rows, ``ratio`` for each that comes out or is changed, or uses no index, or takes
    ``slow`` seconds. A cheap statement that is merely frequent is reported as information.
    Fix: an index for its conditions, as EXPLAIN shows.
    When to ignore: a report that runs when nobody waits.
    References: MySQL manual, "Statement Summary Tables"; MySQLTuner and pt-query-digest, rows
    examined against rows sent.
    """
    taken = _share_of_host(server, processes)
    for one in _heaviest(digests)[:3]:
        busy = one.seconds / max(digests.seconds, 1.0)
        if one.share < share or busy < sessions or not one.text:
            return
        each = one.seconds / max(one.calls, 1)
        scans = one.examined >= rows * one.calls and (one.ratio >= ratio or one.unindexed > 0)
        yield _finding(server, one, busy, taken, bad=scans or each >= slow, limit=share)


def _heaviest(digests: Window[MysqlDigests]) -> list[_Grown]:
    if len(digests) < 2:
        return []
    before = {d.key: d for d in digests.first.digests}
    none = MysqlDigest("", 0, 0.0, 0.0, 0, 0, 0)
    grown = [(d, before.get(d.key, none)) for d in digests.last.digests]
    grown = [(d, b) for d, b in grown if d.calls > b.calls and d.seconds >= b.seconds]
    every = sum(d.seconds - b.seconds for d, b in grown)
    found = [
        _Grown(
            d.text, d.key, d.calls - b.calls, d.seconds - b.seconds, d.locked - b.locked,
            d.examined - b.examined, d.sent - b.sent, d.unindexed - b.unindexed,
            (d.seconds - b.seconds) / every if every else 0.0,
        )
        for d, b in grown
    ]  # fmt: skip
    return sorted(found, key=lambda g: -g.seconds)


def _share_of_host(server: MysqlServer, processes: Window[Processes] | None) -> float:
    """Share of this host's used CPU time that the server takes; 0 when it is elsewhere."""
    if not server.local or processes is None:
        return 0.0
    used = cores_by_label(processes)
    total = sum(used.values())
    return sum(used.get(name, 0.0) for name in PROGRAMS) / total if total else 0.0


def _finding(
    server: MysqlServer, one: _Grown, busy: float, taken: float, *, bad: bool, limit: float
) -> Finding:
    calls = max(one.calls, 1)
    locked = min(1.0, one.locked / one.seconds) if one.seconds else 0.0
    free = 1.0 - locked
    severity = Severity.CRITICAL if one.share >= 0.6 else Severity.HIGH
    explains = {"mysql.running": one.share * free, "host.cpu": taken * one.share * free}
    return Finding(
        subject=one.text[:200],
        summary=f"{one.share:.0%} of statement time goes to {statement(one.text, 70)} "
        f"({one.seconds / calls * 1000:.0f} ms a call): it looks at {one.examined / calls:,.0f} "
        f"rows for {one.sent / calls:,.0f} that come out",
        severity=severity if bad and locked < 0.5 else Severity.INFO,
        confidence=Confidence.HIGH if one.unindexed else Confidence.MEDIUM,
        evidence=(
            Evidence("share of statement time", one.share, "share", limit, SOURCE),
            Evidence("threads busy with it, mean", busy, "threads", source=SOURCE),
            Evidence("time per call", one.seconds / calls * 1000, "ms", source=SOURCE),
            Evidence("calls in the window", float(one.calls), "calls", source=SOURCE),
            Evidence("rows looked at per call", one.examined / calls, "rows", source=SOURCE),
            Evidence("rows that come out per call", one.sent / calls, "rows", source=SOURCE),
            Evidence("calls without an index", float(one.unindexed), "calls", source=SOURCE),
            Evidence("share of its time waiting for locks", locked, "share", source=SOURCE),
        ),
        fixes=(_fix(server, one),),
        explains={resource: part for resource, part in explains.items() if part},
        waits_for={"mysql.locks": locked} if locked else {},
        impact=one.share * free if bad else 0.0,
    )


def _fix(server: MysqlServer, one: _Grown) -> Fix:
    schema = one.key.rpartition("/")[0]
    name = schema.replace("`", "``")
    index = index_for(one.text, schema)
    online = "" if server.mariadb else " ALGORITHM=INPLACE builds it beside the writes"
    return Fix(
        "See its plan, and give its conditions an index",
        (
            *([f"USE `{name}`;"] if schema else []),
            f"EXPLAIN {one.text[:1000]};  -- with real values for ?",
            *([f"{index[0]}  -- where EXPLAIN says type ALL or no key"] if index else
              ["-- where it says type ALL or no key: CREATE INDEX ... ON that table (...)"]),
        ),
        risk=f"EXPLAIN runs nothing; an index takes space, and writes take longer.{online}",
        verify="scaledoctor scan again: rows looked at per call",
        undo=index[1] if index else "DROP INDEX",
    )  # fmt: skip
