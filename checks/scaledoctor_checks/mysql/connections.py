"""Connections of MySQL: how many are taken, by whom, and whether they are used."""

from collections import Counter
from collections.abc import Iterator

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Kind,
    Reach,
    Severity,
    Step,
    Use,
    Window,
    check,
    resource,
)
from scaledoctor.sources.mysql import MysqlLocks, MysqlServer, MysqlStatus, MysqlThreads
from scaledoctor_checks.mysql._threads import Waiting, waiting
from scaledoctor_checks.postgres._words import duration

SOURCE = "information_schema.processlist, max_connections"
REFUSED = ("slots", "limit")
GONE = 0.95
"""Share of the connections from which a leak is about to take the last one, as for PostgreSQL."""


@resource("mysql.connections", step=Step.POOL, on="mysql")
def connections(
    reach: Reach,
    server: MysqlServer | None,
    status: Window[MysqlStatus] | None,
    threads: Window[MysqlThreads] | None,
    locks: Window[MysqlLocks] | None,
    /,
    *,
    warn: float = 0.7,
    critical: float = 0.9,
) -> Use | None:
    """Connections against max_connections.

    How measured: the most threads connected at either edge of the window, or seen in it, over
    max_connections. A login refused with 1040 counts as an error and as full.
    Thresholds: netdata warns at 70 % and alarms at 90 %, others at 80 %; busy from ``warn``,
    saturated from ``critical`` on, when the number grows, all are taken, or most wait for a lock.
    """
    if reach.category in REFUSED:
        return Use(
            used=1.0, limit=1.0, unit="of the connections", warn=warn, critical=critical,
            errors=1.0, detail=f"refused: {reach.message}",
        )  # fmt: skip
    if server is None or status is None:
        return None
    used = _used(status, threads)
    refused = status.delta(lambda s: s.of("Connection_errors_max_connections")) or 0.0
    first = status.first.of("Threads_connected")
    blocked = waiting(threads, locks).waiting / used if threads and locks and used else 0.0
    return Use(
        used=used,
        limit=float(server.max_connections),
        unit="connections",
        warn=warn,
        critical=critical,
        errors=refused,
        contended=used >= server.max_connections or used > 1.1 * first or blocked >= 0.5,
        waits_for={"mysql.locks": min(1.0, blocked)} if blocked else {},
        history=threads.history(lambda t: len(t.threads)) if threads else (),
    )


def _used(status: Window[MysqlStatus], threads: Window[MysqlThreads] | None) -> float:
    told = status.peak(lambda s: s.of("Threads_connected"))
    return max(told, threads.peak(lambda t: len(t.threads)) if threads else 0.0)


@check("mysql.connections-exhausted", step=Step.POOL, on="mysql")
def connections_exhausted(
    reach: Reach,
    server: MysqlServer | None,
    status: Window[MysqlStatus] | None,
    threads: Window[MysqlThreads] | None,
    locks: Window[MysqlLocks] | None,
    /,
    *,
    high: float = 0.85,
    gone: float = GONE,
    share: float = 0.5,
) -> Iterator[Finding]:
    """Connections are used up, or nearly.

    Why: from the last one on every new connection of every application is refused (error 1040).
    How measured: our own login was refused with 1040; or threads connected from ``high`` of
    max_connections on, critical when some were refused in the window or from ``gone`` on. An
    account with ``share`` of them is named, with how many of its threads sleep.
    Fix: end what sleeps, bound the pools, let the server end what sleeps long; more connections
    only where they are used.
    When to ignore: never where it refuses; a bounded pool near a limit that was set for it.
    References: MySQL manual, "Too many connections"; MariaDB, max_connections.
    """
    if reach.category in REFUSED:
        yield _refused(reach)
        return
    if server is None or status is None:
        return
    used, limit = _used(status, threads), float(server.max_connections)
    refused = status.delta(lambda s: s.of("Connection_errors_max_connections")) or 0.0
    if used >= high * limit or refused > 0:
        blocked = waiting(threads, locks) if threads and locks else None
        yield _near(server, used, refused, threads, blocked, (high, gone, share))


def _refused(reach: Reach) -> Finding:
    return Finding(
        subject="connections",
        summary=f"MySQL refuses new connections ({reach.code}: {reach.message})",
        severity=Severity.CRITICAL,
        evidence=(
            Evidence("login refused with error", reach.code, source="our own login"),
            Evidence("the server's words", reach.message, source="our own login"),
        ),
        fixes=(
            Fix(
                "Over the connection that is kept for administrators, end what sleeps",
                (
                    "SELECT user, command, count(*) FROM information_schema.processlist "
                    "GROUP BY 1, 2 ORDER BY 3 DESC;",
                    "SELECT concat('KILL ', id, ';') FROM information_schema.processlist "
                    "WHERE command = 'Sleep' AND time > 10;  -- then run what it prints",
                ),
                risk="pools lose idle connections and open new ones",
                verify="SHOW GLOBAL STATUS LIKE 'Threads_connected';",
                undo="none needed",
            ),
            Fix(
                "Let the server take more for the moment, then bound the pools",
                ("SET GLOBAL max_connections = 500;  -- until the next restart",),
                risk="each takes memory, and more statements at once make all of them slower",
                verify="SHOW GLOBAL VARIABLES LIKE 'max_connections';",
                undo="SET GLOBAL max_connections = what it was;",
            ),
        ),
        explains={"mysql.connections": 0.5},
        impact=1.0,
    )


def _near(
    server: MysqlServer, used: float, refused: float, threads: Window[MysqlThreads] | None,
    blocked: Waiting | None, limits: tuple[float, float, float],
) -> Finding:  # fmt: skip
    high, gone, share = limits
    now = threads.last.threads if threads and server.sees_all else ()
    label, held = next(iter(Counter(t.label for t in now).most_common(1)), ("", 0))
    known = bool(now) and held >= share * len(now)
    asleep = sum(not t.active for t in now if t.label == label)
    urgent = refused > 0 or used >= gone * server.max_connections
    locked = min(1.0, blocked.waiting / used) if blocked and used else 0.0
    who = f"; {label} holds {held}, {asleep} of them asleep" if known else ""
    said = f", {refused:.0f} were refused in the window" if refused else ""
    return Finding(
        subject=label if known else "connections",
        summary=f"{used:.0f} of {server.max_connections} connections are taken{who}{said}",
        severity=Severity.CRITICAL if urgent else Severity.MEDIUM,
        confidence=Confidence.HIGH if known else Confidence.MEDIUM,
        evidence=(
            Evidence("connections", used, "", high * server.max_connections, SOURCE),
            Evidence("refused in the window", refused, "", source="SHOW GLOBAL STATUS"),
            *(Evidence(f"threads of {user}", float(n), "", source=SOURCE)
              for user, n in Counter(t.label for t in now).most_common(4)),
            Evidence("asleep, longest", duration(max(
                (t.seconds for t in now if not t.active), default=0.0)), source=SOURCE),
        ),
        fixes=tuple(_fixes(server, label if known else "")),
        explains={"mysql.connections": held / len(now) if known else 0.5},
        waits_for={"mysql.locks": locked} if locked else {},
        impact=used / server.max_connections if urgent else 0.0,
        kind=Kind.LIVE if urgent else Kind.RISK,
    )  # fmt: skip


def _fixes(server: MysqlServer, label: str) -> Iterator[Fix]:
    user = label.partition("@")[0].replace("'", "''")
    where = f" AND user = '{user}'" if user else ""
    yield Fix(
        f"End what sleeps{f' of {label}' if label else ''}",
        (
            "SELECT concat('KILL ', id, ';') FROM information_schema.processlist "
            f"WHERE command = 'Sleep' AND time > 60{where};  -- then run what it prints",
        ),
        risk="pools lose idle connections and open new ones",
        verify="SHOW GLOBAL STATUS LIKE 'Threads_connected';",
        undo="none needed",
    )
    yield Fix(
        "Bound the pool, and let the server end what sleeps for ten minutes",
        (
            "# in the application: pool size x processes below max_connections / 2",
            f"# wait_timeout is {duration(server.idle_timeout)} now",
            "SET GLOBAL wait_timeout = 600;",
        ),
        "text",
        risk="an application without a check before use sees 'server has gone away' once",
        verify="SHOW GLOBAL VARIABLES LIKE 'wait_timeout';",
        undo=f"SET GLOBAL wait_timeout = {server.idle_timeout:.0f};",
    )
