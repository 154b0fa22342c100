"""What this server does not let us see."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, check
from scaledoctor.sources.postgres import Server, Settings, Statements
from scaledoctor.sql import literal

RELOAD = "SELECT pg_reload_conf();"


def _blind(subject: str, summary: str, evidence: Evidence, fix: Fix) -> Finding:
    return Finding(
        subject=subject,
        summary=summary,
        severity=Severity.INFO,
        evidence=(evidence,),
        fixes=(fix,),
        kind=Kind.BLIND_SPOT,
    )


@check("postgres.role-blind", step=Step.IDENTIFY)
def role_blind(server: Server, /) -> Iterator[Finding]:
    """The scanning role is not in pg_monitor, so it sees only its own sessions.

    Why: what the others do, wait for and run is hidden; a lock or a leak stays invisible.
    How measured: pg_has_role(session_user, 'pg_read_all_stats', 'USAGE').
    Fix: one GRANT; it gives no access to any table.
    When to ignore: never.
    References: PostgreSQL manual, "Predefined Roles".
    """
    if not server.sees_all:
        yield _blind(
            f"role {server.role}",
            f"role {server.role} is not in pg_monitor: it sees only its own sessions",
            Evidence("member of pg_read_all_stats", "no", source="pg_roles"),
            Fix(
                f"Let {server.role} see what the others do",
                (server.grant,),
                risk="none: statistics only, no rows",
                verify=f"SELECT pg_has_role({literal(server.role)}, 'pg_monitor', 'USAGE');",
                undo=server.grant.replace("GRANT", "REVOKE").replace(" TO ", " FROM "),
            ),
        )


@check("postgres.statements-unseen", step=Step.IDENTIFY)
def statements_unseen(server: Server, settings: Settings, /) -> Iterator[Finding]:
    """pg_stat_statements is missing, so statements are known from samples only.

    Why: without it no statement's calls, rows and blocks are counted; short ones are never seen.
    How measured: pg_extension and shared_preload_libraries.
    Fix: preload it (restart) and create it in each database.
    When to ignore: never; its cost is below 1 %.
    References: PostgreSQL manual, pg_stat_statements.
    """
    if server.statements_version:
        return
    loaded = "pg_stat_statements" in settings.values.get("shared_preload_libraries", "")
    commands = (
        () if loaded else ("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements';",)
    )
    yield _blind(
        "pg_stat_statements",
        "pg_stat_statements is "
        + ("loaded but not created in this database" if loaded else "not installed"),
        Evidence("shared_preload_libraries", settings.values.get("shared_preload_libraries", "")),
        Fix(
            "Install pg_stat_statements" + ("" if loaded else " (needs a restart)"),
            (*commands, "CREATE EXTENSION pg_stat_statements;"),
            risk="none" if loaded else "a restart; keep other libraries of the list in it",
            verify="SELECT count(*) FROM pg_stat_statements;",
            undo="DROP EXTENSION pg_stat_statements;",
        ),
    )


@check("postgres.statements-evicted", step=Step.IDENTIFY)
def statements_evicted(
    statements: Statements | None, /, *, evicted: int = 1000
) -> Iterator[Finding]:
    """pg_stat_statements forgets statements because it is too small.

    Why: what was evicted is missing from every sum.
    How measured: pg_stat_statements_info.dealloc above ``evicted``.
    Fix: raise pg_stat_statements.max, or bind parameters instead of pasting values.
    When to ignore: after a one-off flood of ad-hoc statements.
    References: PostgreSQL manual, pg_stat_statements_info.
    """
    count = statements.evicted if statements and statements.evicted else 0
    if count < evicted:
        return
    yield _blind(
        "pg_stat_statements.max",
        f"pg_stat_statements has evicted statements {count:,} times",
        Evidence("evictions", float(count), "", evicted,
                 "pg_stat_statements_info"),
        Fix(
            "Make room for more statements (needs a restart)",
            ("ALTER SYSTEM SET pg_stat_statements.max = 20000;",),
            risk="about 10 MB of shared memory",
            verify="SELECT dealloc FROM pg_stat_statements_info;",
            undo="ALTER SYSTEM RESET pg_stat_statements.max;",
        ),
    )  # fmt: skip


@check("postgres.io-untimed", step=Step.IDENTIFY)
def io_untimed(settings: Settings, /) -> Iterator[Finding]:
    """track_io_timing is off, so reading from disk cannot be told from computing.

    Why: a slow disk and a bad plan look the same without it.
    How measured: the setting.
    Fix: turn it on; pg_test_timing tells the cost, below 100 ns per call on current machines.
    When to ignore: on machines whose clock is slow.
    References: PostgreSQL manual, track_io_timing.
    """
    if not settings.on("track_io_timing"):
        yield _switch("track_io_timing", "on", "time spent reading and writing is not measured")


@check("postgres.log-silent", step=Step.IDENTIFY)
def log_silent(settings: Settings, /) -> Iterator[Finding]:
    """The log says nothing about lock waits, temporary files and slow statements.

    Why: after the incident the log is all that is left.
    How measured: log_lock_waits, log_temp_files, log_min_duration_statement.
    Fix: three settings, no restart.
    When to ignore: when another tool records the same.
    References: PostgreSQL manual, "Error Reporting and Logging".
    """
    if not settings.on("log_lock_waits"):
        yield _switch("log_lock_waits", "on", "waits for locks leave no trace in the log")
    if settings.number("log_temp_files", -1) < 0:
        yield _switch("log_temp_files", "10MB", "sorts that spill to disk leave no trace")
    if settings.number("log_min_duration_statement", -1) < 0:
        yield _switch("log_min_duration_statement", "1s", "slow statements leave no trace")


def _switch(name: str, value: str, effect: str) -> Finding:
    return _blind(
        name,
        f"{name} is off: {effect}",
        Evidence(name, "off", source="pg_settings"),
        Fix(
            f"Set {name}",
            (f"ALTER SYSTEM SET {name} = '{value}';", RELOAD),
            risk="none",
            verify=f"SHOW {name};",
            undo=f"ALTER SYSTEM RESET {name}; {RELOAD}",
        ),
    )
