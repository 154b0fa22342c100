"""The arithmetic of pgbouncer.ini: pools against PostgreSQL, clients against open files."""

from collections.abc import Iterator, Mapping

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, check
from scaledoctor.sources.pgbouncer import PoolerProcess
from scaledoctor.sources.pgbouncer_ini import PoolerIni
from scaledoctor.sources.postgres import Settings
from scaledoctor_checks.pooling._ini import place, risk

USABLE = 97
"""max_connections less the reserved ones, as PostgreSQL is delivered."""

FILES = 1024
"""The usual soft limit of open files of a process."""


@check("pgbouncer.ini-pool-size", step=Step.POOL)
def ini_pool_size(ini: PoolerIni, settings: Settings | None, /) -> Iterator[Finding]:
    """pgbouncer.ini lets its pools open more connections than PostgreSQL has.

    Why: each user of each database has a pool of its own; at the busiest moment the last ones get
    "too many clients already".
    How measured: pool_size (default_pool_size, 20) and reserve of each database, times the users
    that [users] names (one, if it names none or the entry forces one), no more than its
    max_db_connections, against max_connections less the reserved ones (97 where PostgreSQL is not
    looked at).
    Fix: sizes that fit, or max_db_connections.
    When to ignore: pools that are never busy at the same time.
    References: PgBouncer manual, default_pool_size, max_db_connections.
    """
    usable = settings.max_connections - settings.reserved if settings else USABLE
    users = max(1, len(ini.section("users")))
    wants = _wants(ini, users)
    total, count = sum(most for _, most in wants), len(wants)
    if total <= usable:
        return
    words = " + ".join(f"{most} of {name}" for name, most in wants[:6])
    fits = max(1, usable // (count * users))
    base = ini.number("default_pool_size", 20)
    yield risk(
        ini,
        "default_pool_size",
        f"pools may open {total} connections ({words}{' + ...' if count > 6 else ''}), "
        f"PostgreSQL has {usable}" + ("" if settings else " as delivered"),
        Severity.MEDIUM if settings else Severity.LOW,
        str(min(base, fits)),
        value=f"{base} x {count} databases x {users} users",
        limit=usable,
        why_not="clients of a busy pool wait; databases with a pool_size of their own keep it",
    )


def _wants(ini: PoolerIni, users: int) -> list[tuple[str, int]]:
    """Each database by name, and what its pools may open."""
    usual = ini.number("default_pool_size", 20)
    spare, common = ini.number("reserve_pool_size", 0), ini.number("max_db_connections", 0)
    found: list[tuple[str, int]] = []
    for one in ini.section("databases"):
        options = one.options
        size = _number(options, "pool_size", usual)
        reserve = _number(options, "reserve_pool_size", _number(options, "reserve_pool", spare))
        cap = _number(options, "max_db_connections", common)
        most = (size + reserve) * (1 if "user" in options else users)
        found.append((one.name, min(most, cap) if cap > 0 else most))
    return found


def _number(options: Mapping[str, str], name: str, default: int) -> int:
    value = options.get(name, "")
    return int(value) if value.isdigit() else default


@check("pgbouncer.ini-limits", step=Step.POOL)
def ini_limits(ini: PoolerIni, /) -> Iterator[Finding]:
    """pgbouncer.ini does not keep one database or user from taking everything.

    Why: whoever is busiest, or runs away, gets all of PostgreSQL's connections, and the others
    wait.
    How measured: several databases (or *), and neither max_db_connections nor
    max_user_connections, nowhere.
    Fix: max_db_connections for all of them together.
    When to ignore: pools whose sizes add up to less than PostgreSQL has.
    References: PgBouncer manual, max_db_connections, max_user_connections.
    """
    databases = ini.section("databases")
    several = len(databases) > 1 or any(one.name == "*" for one in databases)
    names = ("max_db_connections", "max_user_connections")
    entries = (*databases, *ini.section("users"))
    limited = any(ini.number(name, 0) > 0 for name in names) or any(
        _number(one.options, name, 0) > 0 for one in entries for name in names
    )
    if not several or limited:
        return
    size = ini.number("default_pool_size", 20)
    yield risk(
        ini,
        "max_db_connections",
        "no max_db_connections and no max_user_connections: one database or user can take all "
        "connections",
        Severity.INFO,
        str(2 * size),
        value="0 (default)",
        limit="1",
        why_not="the pools of one database wait for each other at its cap",
    )


@check("pgbouncer.ini-file-descriptors", step=Step.POOL)
def ini_file_descriptors(ini: PoolerIni, process: PoolerProcess | None, /) -> Iterator[Finding]:
    """pgbouncer.ini needs more open files than PgBouncer is likely to have.

    Why: at the limit it can neither accept a client nor reach PostgreSQL.
    How measured: max_client_conn + 10 + the servers of all pools against the soft limit of the
    process, 1024 where that is not seen.
    Fix: LimitNOFILE of its service.
    When to ignore: a service that already has it.
    References: PgBouncer manual, max_client_conn; main.c, "max expected fd use".
    """
    clients, users = ini.number("max_client_conn", 100), max(1, len(ini.section("users")))
    servers = sum(most for _, most in _wants(ini, users))
    limit = (process.files if process else FILES) or 0
    most, where = clients + 10 + servers, place(ini, "max_client_conn")
    if not limit or most <= limit:
        return
    yield Finding(
        subject="max_client_conn",
        summary=(
            f"{where}: max_client_conn = {clients} needs {most:,} open files, "
            f"{limit:,} are {'allowed' if process else 'usual'}"
        ),
        severity=Severity.MEDIUM if process else Severity.LOW,
        evidence=(
            Evidence("open files", float(most), f"{clients} + 10 + {servers}", limit, where),
        ),
        fixes=(
            Fix(
                "Raise the limit of its service",
                (
                    "; systemctl edit pgbouncer",
                    "[Service]",
                    f"LimitNOFILE={most + 1000}",
                    "; then: systemctl restart pgbouncer",
                ),
                language="ini",
                risk="the restart ends every client connection",
                verify="grep 'open files' /proc/$(pidof pgbouncer)/limits",
                undo="take the line out, restart",
            ),
        ),
        kind=Kind.RISK,
    )
