"""The server refuses new sessions: known from our own login, and from the process table."""

import re
from collections import Counter
from collections.abc import Iterator
from math import ceil

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Reach, Severity, Step, check
from scaledoctor.sources.host import Backend, PostgresTitles
from scaledoctor.sql import identifier, literal

SOURCE = "our own login"

FEWEST = 5
"""No role is limited below this: one look may miss the busy moment."""


@check("postgres.connections-refused", step=Step.POOL, on="postgres")
def connections_refused(
    reach: Reach, titles: PostgresTitles | None, /, *, share: float = 0.5
) -> Iterator[Finding]:
    """The server refuses new connections because its slots are gone.

    Why: every new session of every application gets the same error now.
    How measured: our own login was refused with SQLSTATE 53300; the message says which limit. On
    the database's own machine the titles of its processes still tell which role holds them: one
    with ``share`` of them is named.
    Fix: from a reserved slot (a superuser's, or from 16 on that of a role with
    pg_use_reserved_connections), end the sessions that nobody uses, limit the role, then pool.
    When to ignore: never.
    References: PostgreSQL manual, superuser_reserved_connections, reserved_connections.
    """
    if reach.category not in ("slots", "limit"):
        return
    here = titles.backends if titles and reach.local_port is not None else ()
    backends = [b for b in here if b.port in (None, reach.local_port)]
    role, held = _largest(backends)
    limited = _limited(reach.message)
    known = bool(backends) and held >= share * len(backends) and not limited
    idle = sum(b.state == "idle" for b in backends if b.user == role)
    slots = reach.category == "slots"
    gone = "all its slots are gone" if slots else f"the limit of {limited or 'a role'} is reached"
    busy = sum(b.state not in ("idle", "idle in transaction") for b in backends if b.user == role)
    needed = max(FEWEST, ceil(busy * 1.25) + 1)
    who = f"; role {role} holds {held} of {len(backends)}, {idle} of them idle" if known else ""
    yield Finding(
        subject=limited or (f"role {role}" if known else "connection slots"),
        summary=f"PostgreSQL refuses new connections, {gone} ({reach.message}){who}",
        severity=Severity.CRITICAL,
        confidence=Confidence.HIGH if known else Confidence.MEDIUM,
        evidence=(
            Evidence("login refused with SQLSTATE", reach.code, source=SOURCE),
            Evidence("the server's words", reach.message, source=SOURCE),
            *(
                Evidence(f"sessions of role {user}", float(n), "sessions", source="process titles")
                for user, n in Counter(b.user for b in backends).most_common(4)
            ),
        ),
        fixes=(*_free(role, needed, limited, known=known), *_reserve(reach.message, slots=slots)),
        explains={"postgres.connections": held / len(backends) if known else 0.5},
        impact=1.0,
    )


def _largest(backends: list[Backend]) -> tuple[str, int]:
    return next(iter(Counter(b.user for b in backends).most_common(1)), ("", 0))


def _limited(message: str) -> str:
    """The role or the database whose own limit is reached; empty when it is the server's."""
    found = re.search(r'too many connections for (role|database) "(.+)"', message)
    return f"{found[1]} {found[2]}" if found else ""


def _free(role: str, needed: int, limited: str, *, known: bool) -> Iterator[Fix]:
    where = "state = 'idle' AND state_change < now() - interval '1 second'"
    kind, _, name = limited.partition(" ")
    if limited:
        where += f" AND {'usename' if kind == 'role' else 'datname'} = {literal(name)}"
    elif known:
        where += f" AND usename = {literal(role)}"
    limit = (f"ALTER ROLE {identifier(role)} CONNECTION LIMIT {needed};",) if known else ()
    whose = limited or (role if known else "everybody")
    yield Fix(
        f"From a reserved slot (superuser), free the idle connections of {whose}",
        (*limit, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {where};"),
        risk="pools lose idle connections and open new ones; above the limit they are refused",
        verify="SELECT usename, state, count(*) FROM pg_stat_activity GROUP BY 1, 2 ORDER BY 3;",
        undo=f"ALTER ROLE {identifier(role)} CONNECTION LIMIT -1;" if known else "none needed",
    )


def _reserve(message: str, *, slots: bool) -> Iterator[Fix]:
    """Let the scan in next time; up to 15 only superusers have slots of their own."""
    if not slots:
        return
    if "non-replication superuser" in message:
        yield Fix(
            "Let the scan in while the slots are gone: as a superuser",
            ("scaledoctor scan --dsn 'host=/var/run/postgresql user=postgres dbname=postgres'",),
            language="shell",
            risk="a superuser sees everything; the scan's session is read-only",
            verify="SHOW superuser_reserved_connections;  -- not 0",
            undo="none needed",
        )
        return
    yield Fix(
        "Let the scan in next time (PostgreSQL 16 and later)",
        (
            "ALTER SYSTEM SET reserved_connections = 2;  -- needs a restart",
            "GRANT pg_use_reserved_connections TO ROLE_OF_THE_SCAN;  -- the user of --dsn",
        ),
        risk="two slots fewer for everybody else",
        verify="SHOW reserved_connections;",
        undo="REVOKE pg_use_reserved_connections FROM ROLE_OF_THE_SCAN;",
    )
