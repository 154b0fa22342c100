"""PostgreSQL facts for the tests of checks, with the values that do not matter filled in."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from scaledoctor.sdk import Finding, Fix, Window
from scaledoctor.sources.postgres import (
    Activity,
    DatabaseCounters,
    Databases,
    Lock,
    LockTable,
    Server,
    Session,
    Settings,
    Statement,
    Statements,
    Table,
    Tables,
)

UPDATE = "UPDATE stock SET n = n - $1 WHERE id = $2"

SERVER = Server(
    version=180000, database="shop", role="watcher", superuser=False, sees_all=True,
    in_recovery=False, pooled=False, local=False, port=5432, pid=1, uptime=1e6,
    statements_version="1.11", statements_schema="public", role_limit=-1, database_limit=-1,
)  # fmt: skip

_IDLE = Session(
    pid=0, database="shop", user="web", application="web", client="10.0.0.7", state="idle",
    wait_type="Client", wait_event="ClientRead", backend_age=1000.0, transaction_age=None,
    query_age=5.0, state_age=5.0, xid_age=None, query_id="", query="",
)  # fmt: skip


def idle(pid: int, application: str = "web", **changes: Any) -> Session:
    """A session between transactions."""
    return replace(_IDLE, pid=pid, application=application, **changes)


def active(pid: int, application: str = "web", query: str = UPDATE, **changes: Any) -> Session:
    """A session that runs a statement on a core."""
    fields = {"state": "active", "wait_type": "", "wait_event": "", "query": query,
              "query_age": 0.01, "transaction_age": 0.01}  # fmt: skip
    return idle(pid, application, **{**fields, **changes})


def waiting(pid: int, *blockers: int, event: str = "transactionid", **changes: Any) -> Session:
    """A session that waits for a lock of others."""
    return active(
        pid, **{"wait_type": "Lock", "wait_event": event, "blockers": blockers, **changes}
    )


def open_idle(pid: int, application: str = "worker", age: float = 30.0, **more: Any) -> Session:
    """A session idle in its transaction."""
    fields = {"state": "idle in transaction", "state_age": age, "transaction_age": age + 1,
              "query": UPDATE}  # fmt: skip
    return idle(pid, application, **{**fields, **more})


def activity(*sessions: Session, own: int = 1, hidden: int = 0) -> Activity:
    """One sample."""
    return Activity(sessions, hidden=hidden, own=own)


def still(*sessions: Session, samples: int = 4, own: int = 1) -> Window[Activity]:
    """The same sessions in every sample, half a second apart, growing older."""
    return Window.of(*(activity(*(_older(s, i / 2) for s in sessions), own=own)
                       for i in range(samples)))  # fmt: skip


def _older(session: Session, seconds: float) -> Session:
    ages = ("backend_age", "transaction_age", "query_age", "state_age")
    grown = {a: v + seconds for a in ages if (v := getattr(session, a)) is not None}
    return replace(session, **grown)


def lock(
    pid: int, mode: str, *, granted: bool, relation: str = "public.stock", kind: str = "relation"
) -> Lock:
    """One row of pg_locks."""
    return Lock(pid, kind, mode, granted, relation)


def lock_window(*locks: Lock, samples: int = 4) -> Window[LockTable]:
    """The same locks right after every sample of :func:`still`."""
    table = LockTable(locks)
    return Window(tuple((i / 2 + 0.01, table) for i in range(samples)))


def counters(seconds: float = 10.0, **grown: Any) -> Window[Databases]:
    """Two readings of one database, between which the given counters grew."""
    zero = DatabaseCounters("shop", 0, 0, 0, 0, 0, 0, 0)
    later = replace(zero, **grown)
    return Window(((0.0, Databases((zero,))), (seconds, Databases((later,)))))


def settings(connections: int = 100, reserved: int = 0, **values: str) -> Settings:
    """The settings of a server with that many usable slots and ``reserved`` more."""
    return Settings(
        {
            "max_connections": str(connections + reserved),
            "superuser_reserved_connections": str(reserved),
            "deadlock_timeout": "1000",
            **values,
        }
    )


def statement(query_id: str, calls: int, seconds: float, blocks: int = 0, rows: int = 0,
              query: str = "", role: str = "10") -> Statement:  # fmt: skip
    """One row of pg_stat_statements."""
    return Statement(
        key=f"{query_id}/{role}", query_id=query_id, calls=calls, seconds=seconds, rows=rows,
        blocks=blocks, blocks_read=0, temp_blocks=0, query=query,
    )  # fmt: skip


def statements(*grown: Statement, seconds: float = 10.0) -> Window[Statements]:
    """Two readings: nothing, then these."""
    return Window(((0.0, Statements((), 0, None)), (seconds, Statements(grown, 0, None))))


def table(name: str, pages: int, *leading: str, locked: bool = False) -> Tables:
    """One table with the columns that its indexes lead with."""
    return Tables((Table("public", name, pages * 80.0, pages, 0, 0, leading, locked),))


def only(findings: Sequence[Finding]) -> Finding:
    """The one finding that there must be, complete enough to act on."""
    assert len(findings) == 1, [f.summary for f in findings]
    complete(findings[0])
    return findings[0]


def complete(finding: Finding) -> None:
    """Every finding has evidence with a source and a fix with its risk, proof and way back."""
    assert finding.subject
    assert finding.summary
    assert finding.evidence
    assert finding.fixes
    assert 0.0 <= finding.impact <= 1.0
    assert all(0.0 <= share <= 1.0 for share in finding.explains.values())
    for fix in finding.fixes:
        assert _whole(fix), fix


def _whole(fix: Fix) -> bool:
    return bool(fix.title and fix.commands and fix.risk and fix.verify and fix.undo)
