"""Pools without any server: PostgreSQL is not reached, or an administrator stopped the database."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Kind, Severity, Step, Window, check
from scaledoctor.sources.pgbouncer import (
    PoolerConfig,
    PoolerDatabase,
    PoolerDatabases,
    PoolerLog,
    PoolerPools,
    PoolerUsers,
)
from scaledoctor.sql import literal
from scaledoctor_checks.pooling._load import Load, loads
from scaledoctor_checks.pooling._setup import Setup
from scaledoctor_checks.pooling._words import plural, value

SOURCE = "SHOW POOLS: clients wait, no server is logged in"

NO_PASSWORD = ("any", "trust", "peer", "cert", "pam", "ldap")
"""Values of auth_type by which a client sends nothing that PgBouncer could pass on as SCRAM. Seen
with 1.18: with trust a SCRAM secret ends in "wrong password type", with md5 it works."""


@check("pgbouncer.backend-unreachable", step=Step.IDENTIFY)
def backend_unreachable(
    window: Window[PoolerPools],
    config: PoolerConfig | None,
    databases: PoolerDatabases | None,
    users: PoolerUsers | None,
    log: Window[PoolerLog] | None,
    /,
    *,
    share: float = 0.5,
) -> Iterator[Finding]:
    """PgBouncer cannot open a single server connection for its waiting clients.

    Why: they wait for nothing, until query_wait_timeout ends them; no size of any pool helps.
    How measured: in ``share`` of the samples of SHOW POOLS clients of a pool wait while it has no
    server that is logged in, and none had one in the whole window. maxwait may read 0: it does not
    count for clients that wait for their login. PgBouncer's log, where it can be read, says why.
    Fix: the route, or the password. PgBouncer tries again every server_login_retry seconds.
    When to ignore: while PostgreSQL restarts.
    References: PgBouncer manual, server_login_retry, server_connect_timeout, SHOW POOLS.
    """
    found = loads(window, None, Setup(config, databases, users))
    total = sum(load.busy + load.waiting for load in found)
    for load in found:
        why = _why(log, load.key)
        # PostgreSQL lets nobody in who has no slot: that is the finding of pgbouncer.starved.
        if load.dead and load.starved >= share and not _slots(log, load.key):
            yield _unreachable(load, why, total, config)


def _why(log: Window[PoolerLog] | None, key: str) -> str:
    said = [part.why(key, "login") for part in log or ()]
    return next((words for words in reversed(said) if words), "")


def _slots(log: Window[PoolerLog] | None, key: str) -> bool:
    return any(part.why(key, "slots") for part in log or ())


def _unreachable(load: Load, why: str, total: float, config: PoolerConfig | None) -> Finding:
    database = load.database
    where = f"{database.host or 'its unix socket'}:{database.port}" if database else "PostgreSQL"
    tries = load.pool.login > 0
    what = why or ("it tries to connect" if tries else "connecting or logging in failed")
    return Finding(
        subject=load.key,
        summary=(
            f"PgBouncer has no connection to {where} for {load.key} ({what}); "
            f"{plural(load.waiting, 'client')} {_verb(load.waiting)} in vain"
        ),
        severity=Severity.CRITICAL,
        confidence=Confidence.HIGH if why else Confidence.MEDIUM,
        evidence=(
            Evidence("samples with waiting clients and no server", load.starved, "share", 0.5,
                     SOURCE),
            Evidence("clients waiting, mean", load.waiting, "clients", source=SOURCE),
            Evidence("server", where, source="SHOW DATABASES"),
            Evidence("PgBouncer's words", why or "not known", source="its log"),
        ),
        fixes=tuple(_fixes(load, where, why, config)),
        explains={load.resource: 1.0},
        impact=load.waiting / total if total else 0.0,
    )  # fmt: skip


def _verb(clients: float) -> str:
    return "waits" if round(clients) == 1 else "wait"


def _fixes(load: Load, where: str, why: str, config: PoolerConfig | None) -> Iterator[Fix]:
    if "database" in why and "does not exist" in why:
        yield _no_database(load)
        return
    if "password" in why or "SCRAM" in why:
        yield _password(load, config)
        yield _try(load, where)
        return
    yield _try(load, where)
    if not why or "login" in why or "authreq" in why:
        yield _password(load, config)
    if not why and config and config.version < (1, 19, 0):
        # SHOW STATE, which tells of a PAUSE of everything, came in 1.19.
        yield _console("If an administrator said PAUSE; without a name", "RESUME", "PAUSE")


def _no_database(load: Load) -> Fix:
    host, port = _place(load.database)
    return Fix(
        "Name a database that exists: in the application, or in its line of [databases]",
        (
            f'psql "host={host} port={port} dbname=postgres connect_timeout=5" -l',
            "# who asks for it: SHOW CLIENTS; on PgBouncer's console",
            f"# or, if it is meant to be there: createdb -h {host} -p {port} "
            f"{value(load.pool.database)}",
        ),
        language="shell",
        risk="none: it only lists them",
        verify="SHOW POOLS; on the console: cl_waiting of this pool is 0",
        undo="none needed",
    )


def _place(database: PoolerDatabase | None) -> tuple[str, int]:
    """Host and port of a database's server, as psql takes them."""
    host = value(database.host) if database and database.host else "/var/run/postgresql"
    return host, database.port if database else 5432


def _try(load: Load, where: str) -> Fix:
    database, user = load.database, load.pool.user
    host, port = _place(database)
    name = value(database.real) if database else load.pool.database
    return Fix(
        f"From PgBouncer's machine, log in to {where} as PgBouncer does",
        (
            f'psql "host={host} port={port} dbname={name} user={value(user)} connect_timeout=5" '
            '-c "SELECT 1"',
        ),
        language="shell",
        risk="one login",
        verify="it logs in: then the password in PgBouncer's auth_file is another one. It is "
        "refused or times out: then PostgreSQL is down, or the route or pg_hba.conf is wrong",
        undo="none needed",
    )  # fmt: skip


def _password(load: Load, config: PoolerConfig | None) -> Fix:
    """What works: a SCRAM secret lets PgBouncer in only where its client logged in with SCRAM."""
    user, given = load.pool.user, config.values if config else {}
    file = given.get("auth_file") or "its auth_file"
    auth = given.get("auth_type", "scram-sha-256")
    plain = auth in NO_PASSWORD
    why = f"auth_type = {auth} asks clients for no password, so that only a plain one lets it in"
    quoted = user.replace('"', '""')
    lines = (
        (f"-- in {file}; {why}", f'-- "{quoted}" "ITS-PASSWORD"')
        if plain
        else (
            f"-- its output is the user's line of {file}",
            'SELECT format(\'"%s" "%s"\', rolname, rolpassword) FROM pg_authid '
            f"WHERE rolname = {literal(user)};",
        )
    )
    after = "-- then on PgBouncer's console: RELOAD;"
    if given.get("auth_user"):
        # put_in_order(): found existing elem, PgBouncer issue 90; seen with 1.18.
        after = "-- then restart PgBouncer: RELOAD ends it if auth_query had found this user before"
    return Fix(
        "If it is the password: give PgBouncer the one that PostgreSQL has (as a superuser)",
        (*lines, after),
        risk="the line is a secret: keep the file's mode 0600",
        verify="SHOW POOLS; on the console: sv_idle or sv_active above 0 within "
        "server_login_retry (15 s)",
        undo="the old line, then the same again",
    )


@check("pgbouncer.paused", step=Step.IDENTIFY)
def paused(
    window: Window[PoolerPools],
    databases: PoolerDatabases,
    config: PoolerConfig | None,
    users: PoolerUsers | None,
    /,
) -> Iterator[Finding]:
    """An administrator stopped a database, and its clients wait or are refused.

    Why: after PAUSE every client waits for RESUME; after DISABLE every new one is refused.
    How measured: paused and disabled in SHOW DATABASES, clients that wait in SHOW POOLS. Without
    any of those it is a risk.
    Fix: RESUME or ENABLE.
    When to ignore: during the maintenance that it was meant for.
    References: PgBouncer manual, PAUSE, RESUME, DISABLE, ENABLE.
    """
    found = loads(window, None, Setup(config, databases, users))
    if databases.stopped:
        yield _paused("", found, found)
        return
    for database in databases.databases:
        mine = [load for load in found if load.pool.database == database.name]
        if database.paused:
            yield _paused(database.name, mine, found)
        if database.disabled:
            yield _disabled(database, mine)


def _paused(name: str, mine: list[Load], every: list[Load]) -> Finding:
    """``name`` is empty when all databases are paused."""
    waiting = sum(load.waiting for load in mine)
    total = sum(load.busy + load.waiting for load in every)
    what = f"database {name} is" if name else "all databases are"
    return Finding(
        subject=name or "all databases",
        summary=(
            f"{what} paused on PgBouncer's console; {plural(waiting, 'client')} "
            f"{_verb(waiting)} for RESUME"
        ),
        severity=Severity.CRITICAL if waiting else Severity.MEDIUM,
        evidence=(
            Evidence("paused", "yes", threshold="no", source="SHOW DATABASES, SHOW STATE"),
            Evidence("clients waiting, mean", waiting, "clients", source="SHOW POOLS"),
        ),
        fixes=(_console("Let it go on", f"RESUME {name}".strip(), f"PAUSE {name}".strip()),),
        explains={load.resource: 1.0 for load in mine if load.waiting},
        impact=waiting / total if total else 0.0,
        kind=Kind.LIVE if waiting else Kind.RISK,
    )


def _disabled(database: PoolerDatabase, mine: list[Load]) -> Finding:
    clients = sum(load.clients for load in mine)
    return Finding(
        subject=database.name,
        summary=(
            f"database {database.name} is disabled on PgBouncer's console: every new client is "
            f"refused, {plural(clients, 'client')} from before are left"
        ),
        severity=Severity.HIGH,
        evidence=(
            Evidence("disabled", "1", threshold="0", source="SHOW DATABASES"),
            Evidence("clients left, mean", clients, "clients", source="SHOW POOLS"),
        ),
        fixes=(
            _console("Let clients in", f"ENABLE {database.name}", f"DISABLE {database.name}"),
        ),
        # Whoever is refused is counted nowhere.
        kind=Kind.RISK,
    )  # fmt: skip


def _console(title: str, command: str, undo: str) -> Fix:
    return Fix(
        title,
        ("-- on PgBouncer's console, as one of its admin_users", f"{command};"),
        risk="all waiting clients get to work at once",
        verify="SHOW POOLS; on the console: cl_waiting falls to 0",
        undo=f"{undo};",
    )
