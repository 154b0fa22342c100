"""Pages that are read from disk because InnoDB's buffer pool has no room."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, Window, check
from scaledoctor.sources.mysql import MysqlServer, MysqlStatus

SOURCE = "SHOW GLOBAL STATUS"


@check("mysql.buffer-pool", step=Step.TIGHTEN)
def buffer_pool(
    server: MysqlServer,
    status: Window[MysqlStatus],
    /,
    *,
    misses: float = 0.01,
    per_second: float = 100.0,
    free: float = 0.05,
) -> Iterator[Finding]:
    """InnoDB's buffer pool is full, and pages come from disk again and again.

    Why: a page from disk takes a hundred times as long as one from memory.
    How measured: reads from disk over all reads of pages in the window, from ``misses`` on and
    from ``per_second`` reads on, while less than ``free`` of the pool is free: before that it
    only warms up. High when statements had to wait for a page to be written first.
    Fix: a larger pool where the machine has memory; before that the statement that reads most.
    When to ignore: a scan of a whole table that is done once a day.
    References: MySQLTuner, 90 to 95 % hits; MySQL manual, "InnoDB Buffer Pool Configuration".
    """
    reads = status.rate(lambda s: s.of("Innodb_buffer_pool_reads"))
    every = status.rate(lambda s: s.of("Innodb_buffer_pool_read_requests"))
    waits = status.delta(lambda s: s.of("Innodb_buffer_pool_wait_free")) or 0.0
    total = status.last.of("Innodb_buffer_pool_pages_total")
    left = status.last.of("Innodb_buffer_pool_pages_free") / total if total else 1.0
    if reads is None or not every:
        return
    if waits <= 0 and (reads / every < misses or reads < per_second or left >= free):
        return
    size = server.buffer_pool >> 20
    yield Finding(
        subject="innodb_buffer_pool_size",
        summary=f"{reads:,.0f} pages a second come from disk, {reads / every:.1%} of all reads: "
        f"the buffer pool of {size:,} MB is full"
        + (f", and {waits:,.0f} times a statement waited for a free page" if waits else ""),
        severity=Severity.HIGH if waits else Severity.MEDIUM,
        evidence=(
            Evidence("reads from disk", reads, "pages/s", per_second, SOURCE),
            Evidence("of all reads", reads / every, "share", misses, SOURCE),
            Evidence("free in the pool", left, "share", free, SOURCE),
            Evidence("waits for a free page", waits, "", 0.0, SOURCE),
        ),
        fixes=(_larger(server.buffer_pool),),
        kind=Kind.RISK,
    )  # fmt: skip


def _larger(size: int) -> Fix:
    return Fix(
        f"Give the pool more than its {size >> 20:,} MB, where the machine has it",
        (
            f"SET GLOBAL innodb_buffer_pool_size = {2 * size};",
            "-- and in the server's configuration, for the next start",
        ),
        risk="takes that memory from everything else on the machine; resizing stalls for a moment",
        verify="SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_reads';",
        undo=f"SET GLOBAL innodb_buffer_pool_size = {size};",
    )
