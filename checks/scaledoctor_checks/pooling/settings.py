"""Settings of a running PgBouncer that will bite."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, Window, check
from scaledoctor.sources.pgbouncer import (
    PoolerConfig,
    PoolerDatabases,
    PoolerLists,
    PoolerLog,
    PoolerPools,
    PoolerProcess,
)
from scaledoctor.sources.pgbouncer_ini import PoolerIni
from scaledoctor_checks.pooling._words import ini as ini_fix

SOURCE = "SHOW CONFIG"


@check("pgbouncer.prepared-statements", step=Step.POOL)
def prepared_statements(
    config: PoolerConfig, window: Window[PoolerPools], log: Window[PoolerLog] | None, /
) -> Iterator[Finding]:
    """Prepared statements fail through a pool in transaction mode.

    Why: the next transaction may get another server, which has never seen the statement: it fails
    with "does not exist", or "already exists". 12 threads of psycopg met it 10 times in a test.
    How measured: a pool in transaction or statement mode, and a PgBouncer before 1.21, which
    cannot follow prepared statements, or max_prepared_statements = 0. A risk: drivers prepare by
    themselves after a few executions (psycopg 5, JDBC 5), but can be told not to.
    Fix: the setting, from 1.21 on; else a newer version, or a driver that does not prepare.
    When to ignore: clients that are known not to prepare.
    References: PgBouncer manual, max_prepared_statements (1.21, default 200 from 1.24).
    """
    modes = {p.key: p.mode for sample in window for p in sample.pools}
    mine = sorted(key for key, mode in modes.items() if mode in ("transaction", "statement"))
    able = config.version >= (1, 21, 0)
    if not mine or (able and config.number("max_prepared_statements") > 0):
        return
    lost = sum(part.count("prepared") for part in log or ())
    what = "max_prepared_statements is 0" if able else f"{config.name} does not follow them"
    yield Finding(
        subject="max_prepared_statements",
        summary=(
            f"prepared statements fail in transaction mode: {what}; pools: {', '.join(mine[:4])}"
        ),
        severity=Severity.MEDIUM if lost else Severity.LOW,
        evidence=(
            Evidence("version", config.name, threshold="1.21", source="SHOW VERSION"),
            Evidence("max_prepared_statements", config.values.get("max_prepared_statements",
                     "not known to this version"), threshold="1", source=SOURCE),
            Evidence("pools in transaction or statement mode", float(len(mine)), "pools",
                     source="SHOW POOLS"),
        ),
        fixes=(_follow(config) if able else _driver(),),
        kind=Kind.RISK,
    )  # fmt: skip


def _follow(config: PoolerConfig) -> Fix:
    return ini_fix(
        "Let PgBouncer follow prepared statements",
        "pgbouncer",
        ("max_prepared_statements = 200",),
        config,
        risk="some memory for each client and server",
        verify="SHOW SERVERS; on the console: prepared_statements counts them",
        undo="max_prepared_statements = 0, then RELOAD;",
    )


def _driver() -> Fix:
    return Fix(
        "Until PgBouncer is 1.21 or later: do not prepare on the server",
        (
            "# psycopg 3: psycopg.connect(..., prepare_threshold=None)",
            "# asyncpg: statement_cache_size=0   JDBC: prepareThreshold=0",
            "# Go pgx: default_query_exec_mode=exec   Npgsql: Max Auto Prepare=0",
        ),
        language="text",
        risk="each statement is parsed and planned anew",
        verify='no "prepared statement ... does not exist" in the log of the application',
        undo="the old parameter",
    )


@check("pgbouncer.wait-timeout", step=Step.POOL)
def wait_timeout(
    config: PoolerConfig,
    log: Window[PoolerLog] | None,
    ini: PoolerIni | None,
    /,
    *,
    proxy: float = 60.0,
) -> Iterator[Finding]:
    """Clients may wait for a server longer than anybody waits for them.

    Why: when a proxy in front has given up, the transaction still waits its turn and is done for
    nobody; the queue only grows.
    How measured: query_wait_timeout is ``proxy`` seconds or more, or 0 (for ever). 60 s is what
    nginx (proxy_read_timeout) and most load balancers wait. With pgbouncer.ini at hand
    pgbouncer.ini-wait-timeout tells the line instead.
    Fix: fail fast, well below the time-out of whoever waits.
    When to ignore: batch jobs that may wait.
    References: PgBouncer manual, query_wait_timeout (default 120); nginx, proxy_read_timeout.
    """
    timeout = config.number("query_wait_timeout", 120)
    if 0 < timeout < proxy or ini is not None:
        return
    ended = log.last.count("wait-timeout") if log and len(log) > 1 else 0
    yield Finding(
        subject="query_wait_timeout",
        summary=(
            f"query_wait_timeout is {timeout:.0f} s"
            + (" (no limit)" if not timeout else "")
            + f": clients may wait for a server longer than the {proxy:.0f} s that a proxy waits"
        ),
        severity=Severity.LOW,
        evidence=(
            Evidence("query_wait_timeout", timeout, "s", proxy, SOURCE),
            *((Evidence("clients ended by it in the window", float(ended), "clients",
                        source="PgBouncer's log"),) if log else ()),
        ),
        fixes=(
            ini_fix(
                "Fail fast",
                "pgbouncer",
                ("query_wait_timeout = 15",),
                config,
                risk="clients that wait 15 s for a server get an error",
                verify="SHOW CONFIG; query_wait_timeout is 15",
                undo=f"query_wait_timeout = {timeout:.0f}, then RELOAD;",
            ),
        ),
        kind=Kind.RISK,
    )  # fmt: skip


@check("pgbouncer.file-descriptors", step=Step.POOL)
def file_descriptors(
    config: PoolerConfig,
    databases: PoolerDatabases,
    lists: PoolerLists,
    process: PoolerProcess,
    /,
    *,
    near: float = 0.8,
) -> Iterator[Finding]:
    """PgBouncer's limit of open files is below what its settings let it need.

    Why: at the limit it can neither accept a client nor reach PostgreSQL, whatever its own limits
    say.
    How measured: max_client_conn + 10 + pool_size x users of every database (once for a forced
    user), which is PgBouncer's own sum at its start, against the soft limit of its process. A
    risk; high when ``near`` of the limit are open now.
    Fix: LimitNOFILE of its service.
    When to ignore: max_client_conn that will never be reached.
    References: PgBouncer manual, max_client_conn; main.c, "max expected fd use".
    """
    if process.files is None:
        return
    users = max(1, lists.users)
    pools = sum(d.size * (1 if d.forced else users) for d in databases.databases)
    most = int(config.number("max_client_conn", 100)) + 10 + pools
    used = process.open or 0
    if most <= process.files:
        return
    yield Finding(
        subject="LimitNOFILE",
        summary=(
            f"PgBouncer may need {most:,} open files and may have {process.files:,}"
            + (f"; {used:,} are open now" if used else "")
        ),
        severity=Severity.HIGH if used >= near * process.files else Severity.MEDIUM,
        evidence=(
            Evidence("may need", float(most), "open files", process.files,
                     f"max_client_conn {config.number('max_client_conn', 100):.0f} + 10 + "
                     f"{pools} server connections of {users} users"),
            Evidence("open now", float(used) if used else "not ours to see", "files",
                     near * process.files, "/proc/PID/fd"),
        ),
        fixes=(_more_files(most + 1000, process.pid),),
        kind=Kind.RISK,
    )  # fmt: skip


def _more_files(files: int, pid: int) -> Fix:
    folder = "/etc/systemd/system/pgbouncer.service.d"
    return Fix(
        "Raise the limit of its service",
        (
            f"mkdir -p {folder}",
            f"printf '[Service]\\nLimitNOFILE={files}\\n' > {folder}/files.conf",
            "systemctl daemon-reload",
            "systemctl restart pgbouncer",
        ),
        language="shell",
        risk="the restart ends every client connection",
        verify=f"grep 'open files' /proc/{pid}/limits",
        undo=f"rm {folder}/files.conf && systemctl daemon-reload && systemctl restart pgbouncer",
    )
