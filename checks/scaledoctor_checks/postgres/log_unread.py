"""The server's own log, where this role does not see it."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, check
from scaledoctor.sources.postgres.own_log import OwnLog
from scaledoctor.sources.sql_log import SqlLog


@check("postgres.log-unread", step=Step.IDENTIFY)
def log_unread(own: OwnLog | None, logs: list[SqlLog], /) -> Iterator[Finding]:
    """The server's own log cannot be read through the connection.

    Why: repeated statements of one request, refused clients and time-outs stand there alone.
    How measured: logging_collector, and the role's privileges on pg_current_logfile, pg_ls_logdir
    and pg_read_binary_file. Quiet where a log is in the same scan.
    Fix: give the scan the file with --log, or let the role read it.
    When to ignore: where another tool reads the log.
    References: PostgreSQL manual, "Generic File Access Functions", logging_collector.
    """
    if own is None or not own.blind or logs:
        return
    yield Finding(
        subject="the server's log",
        summary=f"the server's own log is not read: {own.blind}",
        severity=Severity.INFO,
        evidence=(Evidence("reason", own.blind, source="pg_settings, pg_proc"),),
        fixes=(_named(), *([_granted(own.grants)] if own.grants else [])),
        kind=Kind.BLIND_SPOT,
    )


def _named() -> Fix:
    return Fix(
        "Name the log's file, where the scan can read it",
        ("scaledoctor scan --dsn ... --log /var/log/postgresql/postgresql-16-main.log",),
        language="shell",
        risk="none: it is read",
        verify="the report has the log among its targets",
        undo="none needed",
    )


def _granted(grants: tuple[str, ...]) -> Fix:
    back = (one.replace("GRANT", "REVOKE").replace(" TO ", " FROM ") for one in grants)
    return Fix(
        "Or let this role read it (in the database of --dsn, as a superuser)",
        grants,
        risk="with pg_read_binary_file the role can read every file of the data directory",
        verify="scaledoctor scan again: the log's blind spot is gone",
        undo=" ".join(back),
    )
