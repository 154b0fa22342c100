"""Who waits for whose lock, read only while somebody does."""

from dataclasses import dataclass

from scaledoctor.sdk import Cadence, fact, probe
from scaledoctor.sources.mysql.server import GRANT
from scaledoctor.sources.mysql.session import MysqlSession
from scaledoctor.sources.mysql.threads import MysqlThreads


@dataclass(frozen=True, slots=True)
class MysqlWait:
    """A thread that waits for a row lock of another one; ``table`` is schema.table."""

    waiting: int
    blocking: int
    table: str


@dataclass(frozen=True, slots=True)
class MysqlTransaction:
    """An open transaction of InnoDB: its thread, age in seconds, rows it locks and has changed."""

    thread: int
    seconds: float
    locked: int
    changed: int


@fact
@dataclass(frozen=True, slots=True)
class MysqlLocks:
    """Waits at one moment, and the oldest 200 transactions; both empty while nobody waits."""

    waits: tuple[MysqlWait, ...]
    transactions: tuple[MysqlTransaction, ...] = ()

    def transaction(self, thread: int) -> MysqlTransaction | None:
        """The open transaction of a thread."""
        return next((t for t in self.transactions if t.thread == thread), None)


_WAITING = "SHOW GLOBAL STATUS WHERE Variable_name = 'Innodb_row_lock_current_waits'"

_WAITS = {
    True: """
SELECT w.trx_mysql_thread_id AS waiting, b.trx_mysql_thread_id AS blocking,
       replace(coalesce(l.lock_table, ''), '`', '') AS `table`
FROM information_schema.innodb_lock_waits x
JOIN information_schema.innodb_trx w ON w.trx_id = x.requesting_trx_id
JOIN information_schema.innodb_trx b ON b.trx_id = x.blocking_trx_id
LEFT JOIN information_schema.innodb_locks l ON l.lock_id = x.requested_lock_id
LIMIT 2000
""",
    # MySQL 8 has it in performance_schema.
    False: """
SELECT w.trx_mysql_thread_id AS waiting, b.trx_mysql_thread_id AS blocking,
       coalesce(concat(l.object_schema, '.', l.object_name), '') AS `table`
FROM performance_schema.data_lock_waits x
JOIN information_schema.innodb_trx w ON w.trx_id = x.requesting_engine_transaction_id
JOIN information_schema.innodb_trx b ON b.trx_id = x.blocking_engine_transaction_id
LEFT JOIN performance_schema.data_locks l ON l.engine_lock_id = x.requesting_engine_lock_id
LIMIT 2000
""",
}

_TRANSACTIONS = """
SELECT trx_mysql_thread_id AS thread, timestampdiff(SECOND, trx_started, now()) AS seconds,
       trx_rows_locked AS locked, trx_rows_modified AS changed
FROM information_schema.innodb_trx
ORDER BY trx_started
LIMIT 200
"""


@probe(cost="1 query, < 1 ms; 2 more while somebody waits", cadence=Cadence.SAMPLED)
async def mysql_locks(my: MysqlSession, threads: MysqlThreads) -> MysqlLocks:
    """Read the lock waits of InnoDB, and the transactions that may be behind them."""
    rows = await my.rows(_WAITING)
    current = float(rows[0]["value"]) if rows else 0.0
    if not current and not any(t.waits_for_metadata for t in threads.threads):
        return MysqlLocks(())
    old = my.mariadb or my.version < (8,)
    grant = GRANT if old else f"{GRANT} GRANT SELECT ON performance_schema.* TO {{user}};"
    waits = await my.rows(_WAITS[old], grant=grant) if current else []
    transactions = await my.rows(_TRANSACTIONS, grant=grant)
    return MysqlLocks(
        tuple(
            MysqlWait(int(w["waiting"]), int(w["blocking"]), my.redactor.text(str(w["table"])))
            for w in waits
        ),
        tuple(
            MysqlTransaction(
                int(t["thread"]), max(0.0, float(t["seconds"])), int(t["locked"]), int(t["changed"])
            )
            for t in transactions
        ),
    )
