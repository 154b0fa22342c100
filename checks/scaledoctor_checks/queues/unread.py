"""Queues that are there and could not be read."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, check
from scaledoctor.sources.queues import Queues


@check("queue.table-unread", step=Step.IDENTIFY)
def table_unread(queues: Queues, /) -> Iterator[Finding]:
    """A table of jobs is there, and its jobs could not be counted.

    Why: what was not seen is not healthy.
    How measured: tables of known libraries that this role may not read, that row level security
    hides from it, that somebody holds or awaits an exclusive lock on, or that are large and have
    no index to count by.
    Fix: the grant that stands there; for the lock, see who holds it.
    When to ignore: a library that is no longer used and has left its table.
    References: PostgreSQL manual, "Privileges"; "Row Security Policies".
    """
    for one in queues.unread:
        yield Finding(
            subject=one.name,
            summary=f"the jobs in {one.name} were not counted: {one.reason}",
            severity=Severity.LOW,
            evidence=(Evidence("why", one.reason, source="pg_class, pg_locks"),),
            fixes=(
                Fix(
                    f"Let {one.name} be read",
                    (one.enable or "scaledoctor scan -v  # who holds the lock",),
                    "sql" if one.enable else "shell",
                    risk="that role may then read the arguments of jobs, which are not looked at",
                    verify="scaledoctor scan again: this line is gone",
                    undo="REVOKE what was granted",
                ),
            ),
            kind=Kind.BLIND_SPOT,
        )
