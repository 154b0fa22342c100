"""Threads that wait for locks, and the transaction at the root of it."""

from collections.abc import Iterator

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Severity,
    Step,
    Use,
    Window,
    check,
    resource,
)
from scaledoctor.sources.mysql import MysqlLocks, MysqlServer, MysqlThreads
from scaledoctor_checks.mysql._threads import Root, Waiting, waiting, who
from scaledoctor_checks.postgres._words import duration, statement

SOURCE = "innodb_trx, innodb_lock_waits (performance_schema.data_lock_waits)"


@resource("mysql.locks", step=Step.TIGHTEN)
def mysql_locks(
    server: MysqlServer,
    threads: Window[MysqlThreads],
    locks: Window[MysqlLocks],
    /,
    *,
    warn: float = 0.1,
    critical: float = 0.3,
) -> Use:
    """Active threads that wait for another one's row or metadata lock.

    How measured: mean threads with a lock wait of InnoDB or in a state "waiting for metadata
    lock", over all that run a statement. Contended from a mean of one.
    Thresholds: as for PostgreSQL's locks: busy from ``warn``, saturated from ``critical``.
    """
    server.require_visible()
    found = waiting(threads, locks)
    return Use(
        used=found.waiting,
        limit=max(found.active, found.waiting, 1.0),
        unit="active threads",
        warn=warn,
        critical=critical,
        waiting=found.waiting,
        contended=found.waiting >= 1.0,
        scales=False,
    )


@check("mysql.lock-wait", step=Step.TIGHTEN)
def lock_wait(
    server: MysqlServer,
    threads: Window[MysqlThreads],
    locks: Window[MysqlLocks],
    /,
    *,
    mean_blocked: float = 0.5,
    share: float = 0.4,
    many: float = 3.0,
) -> Iterator[Finding]:
    """One transaction keeps the others waiting for its locks.

    Why: what waits holds its connection, and after innodb_lock_wait_timeout (50 s) it fails.
    How measured: lock waits of InnoDB, in every sample followed to a thread that waits for
    nothing. Where a table's metadata is awaited nothing tells who holds it: the oldest open
    transaction is named then, with less confidence. Fires when one root keeps ``mean_blocked``
    threads waiting on the mean and has ``share`` of all waiting; critical from ``many``.
    Fix: end the root, not the waiters; commit before anything slow.
    When to ignore: a planned change of a table.
    References: MySQL manual, "InnoDB Lock and Lock-Wait Information"; MariaDB, INNODB_TRX.
    """
    server.require_visible()
    found = waiting(threads, locks)
    for root in found.roots.values():
        if found.mean(root) >= mean_blocked and found.share(root) >= share:
            yield _finding(server, found, root, mean_blocked, many)


def _finding(
    server: MysqlServer, found: Waiting, root: Root, mean_blocked: float, many: float
) -> Finding:
    mean, thread = found.mean(root), root.thread
    table = next((name for name, n in root.tables.most_common(1) if n), "")
    asleep = thread is not None and not thread.active
    does = "does nothing" if asleep else statement(thread.query) if thread else "is gone"
    where = f" of {table}" if table else ""
    return Finding(
        subject=thread.label if thread else "a thread that is gone",
        summary=f"{who(thread, root.id)}, in a transaction for {duration(root.age)}, keeps "
        f"{mean:.1f} threads waiting for locks{where} ({root.victim_labels}), and {does}",
        severity=Severity.CRITICAL if mean >= many else Severity.HIGH,
        confidence=Confidence.MEDIUM if root.by_name else Confidence.HIGH,
        evidence=(
            Evidence("waiting threads, mean", mean, "threads", mean_blocked, SOURCE),
            Evidence("share of all waiting", found.share(root), "share", source=SOURCE),
            Evidence("its transaction is open for", root.age, "s", source=SOURCE),
            Evidence("rows it has changed", float(root.changed), "rows", source=SOURCE),
            Evidence("who waits", root.victim_labels, source=SOURCE),
        ),
        fixes=tuple(_fixes(server, root, asleep=asleep)),
        explains={"mysql.locks": found.share(root)},
        impact=min(1.0, mean / max(found.active, mean, 1.0)),
    )


def _fixes(server: MysqlServer, root: Root, *, asleep: bool) -> Iterator[Fix]:
    yield Fix(
        f"End the connection at the root: {who(root.thread, root.id)}",
        (f"KILL {'CONNECTION' if asleep else 'QUERY'} {root.id};",),
        risk=f"its transaction rolls back ({root.changed:,} changed rows); its application "
        "sees an error",
        verify="SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits';",
        undo="run its work again",
    )
    if asleep and server.mariadb:
        yield Fix(
            "Let the server end transactions that do nothing",
            ("SET GLOBAL idle_transaction_timeout = 60;",),
            risk="an application that pauses longer inside a transaction loses its connection",
            verify="SHOW GLOBAL VARIABLES LIKE 'idle_transaction_timeout';",
            undo="SET GLOBAL idle_transaction_timeout = 0;",
        )
