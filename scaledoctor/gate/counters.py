"""Numbers that hardly depend on the machine: work per call and per transaction, not time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scaledoctor.snapshot import Record, Snapshot
from scaledoctor.sources.host import HostInfo
from scaledoctor.sources.postgres import Databases, Server, Statement, Statements
from scaledoctor.sql import shorten
from scaledoctor.window import Window

MIN_CALLS = 30
"""Calls or transactions below which a ratio is chance (conventions: calls >= 30)."""

SESSIONS, STATEMENTS, TEMPORARY, BLOCKS, ROWS, CALLS = 0.01, 0.5, 1.0, 10.0, 1.0, 0.1
"""Floors, our own choice: one new session in 100 transactions, half a statement a transaction, a
temporary block a statement, 80 kB or one row a call, a tenth of all calls."""


@dataclass(frozen=True, slots=True)
class Counter:
    """One ratio: ``floor`` is the smallest growth that matters, in the same unit.

    ``calls`` is over how many calls or transactions it was taken.
    """

    name: str
    value: float
    floor: float
    calls: int


def counters(snapshot: Snapshot) -> tuple[Counter, ...]:
    """Every ratio of a snapshot, by name; none from a one-shot scan, which has no rates."""
    found = [c for record in snapshot.records for c in _of(record) if c.calls >= MIN_CALLS]
    return tuple(sorted(found, key=lambda c: c.name))


def conditions(snapshot: Snapshot) -> dict[str, str]:
    """What must be the same for two scans to be compared: server versions, cores, slots."""
    found: dict[str, str] = {}
    for record in snapshot.records:
        server, host = record.last(Server), record.last(HostInfo)
        if server is not None:
            found[f"{record.name} version"] = f"PostgreSQL {server.major}"
        if host is not None:
            found[f"{record.name} cores"] = str(host.cores)
    return dict(sorted(found.items()))


def _of(record: Record) -> Iterator[Counter]:
    databases, statements = _window(record, Databases), _window(record, Statements)
    done = databases.delta(lambda d: d.transactions) if databases else None
    transactions = int(done or 0)
    if databases and transactions and None not in [d.sessions for d in databases]:
        opened = databases.delta(lambda d: d.sessions or 0) or 0
        name = f"{record.name}: sessions opened per transaction"
        yield Counter(name, opened / transactions, SESSIONS, transactions)
    grown = dict(_grown(statements)) if statements and len(statements) > 1 else {}
    calls = sum(now.calls for now in grown.values())
    if transactions and calls:
        name = f"{record.name}: statements per transaction"
        yield Counter(name, calls / transactions, STATEMENTS, transactions)
    if calls:
        temp = sum(now.temp_blocks for now in grown.values())
        yield Counter(
            f"{record.name}: temporary blocks per statement", temp / calls, TEMPORARY, calls
        )
    for query, now in grown.items():
        if query:
            yield from _statement(f"{record.name}: {shorten(query, 300)}", now, calls)


def _statement(name: str, now: Statement, calls: int) -> Iterator[Counter]:
    yield Counter(f"{name}: blocks per call", now.blocks / now.calls, BLOCKS, now.calls)
    yield Counter(f"{name}: rows per call", now.rows / now.calls, ROWS, now.calls)
    yield Counter(f"{name}: share of calls", now.calls / calls, CALLS, now.calls)


def _grown(window: Window[Statements]) -> Iterator[tuple[str, Statement]]:
    """What each statement did in the window, by its text; those without text under no name."""
    before = {s.key: s for s in window.first.statements}
    sums: dict[str, Statement] = {}
    for now in window.last.statements:
        was = before.get(now.key)
        calls = now.calls - (was.calls if was else 0)
        if calls <= 0:
            continue
        done = Statement(
            key="",
            query_id="",
            calls=calls,
            seconds=0.0,
            rows=now.rows - (was.rows if was else 0),
            blocks=now.blocks - (was.blocks if was else 0),
            blocks_read=0,
            temp_blocks=now.temp_blocks - (was.temp_blocks if was else 0),
        )
        sums[now.query] = _plus(sums[now.query], done) if now.query in sums else done
    yield from sums.items()


def _plus(one: Statement, other: Statement) -> Statement:
    return Statement(
        key="",
        query_id="",
        calls=one.calls + other.calls,
        seconds=0.0,
        rows=one.rows + other.rows,
        blocks=one.blocks + other.blocks,
        blocks_read=0,
        temp_blocks=one.temp_blocks + other.temp_blocks,
    )


def _window(record: Record, fact: type) -> Window[Any] | None:
    samples = record.samples.get(fact.__name__)
    return Window(samples) if samples else None
