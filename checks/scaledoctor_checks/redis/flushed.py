"""The cache is emptied again and again."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Kind, Severity, Step, Window, check
from scaledoctor.sources.postgres import Activity, Statements
from scaledoctor.sources.redis.health import RedisHealth
from scaledoctor.sources.redis.traffic import RedisTraffic
from scaledoctor_checks.postgres._words import statement
from scaledoctor_checks.redis._database import Tie, tie
from scaledoctor_checks.redis._facts import flushes, lookups
from scaledoctor_checks.redis._words import INFO


@check("redis.flushed", step=Step.TIGHTEN)
def flushed(
    health: Window[RedisHealth],
    traffic: Window[RedisTraffic],
    activity: Window[Activity] | None,
    statements: Window[Statements] | None,
    /,
    *,
    often: int = 2,
    hourly: float = 1.0,
    least: int = 10,
) -> Iterator[Finding]:
    """Whole databases are emptied again and again.

    Why: all that was kept has to be loaded once more, by everybody at the same moment.
    How measured: calls of FLUSHALL and FLUSHDB in the window: from ``often`` on it is live, high
    when one statement of the database is called as often as there are misses. A risk when it
    happened once, or since the start ``hourly`` times an hour and ``least`` times in all.
    Fix: delete the keys that changed, or put a version into their names.
    When to ignore: tests that share the server; a release that needs it.
    References: Redis, FLUSHALL; "Generational caching".
    """
    calls, ever = health.delta(flushes) or 0.0, flushes(health.last)
    hours = max(health.last.uptime / 3600, 1 / 60)
    habit = ever >= least and ever / hours >= hourly
    if not calls and not habit:
        return
    live = calls >= often
    seen = tie(traffic, activity, statements) if live else None
    found = lookups(traffic)
    lost = 1 - found.ratio if found else 0.0
    yield Finding(
        subject="FLUSHALL" if health.last.command("flushall").calls else "FLUSHDB",
        summary=_summary(health, calls, ever, seen),
        severity=Severity.HIGH if seen else Severity.MEDIUM if live else Severity.LOW,
        confidence=Confidence.HIGH if seen else Confidence.MEDIUM,
        evidence=(
            Evidence("calls in the window", calls, "calls", float(often), INFO),
            Evidence("calls since the start", float(ever), "calls", float(least), INFO),
            Evidence("calls per hour since the start", ever / hours, "", hourly, INFO),
            Evidence("lookups that found nothing", lost, "share", source=INFO),
        ),
        fixes=(_fix(),),
        explains={"redis.misses": 1.0} if live and found else {},
        impact=lost * (seen.share if seen else 0.3) if live else 0.0,
        kind=Kind.LIVE if live else Kind.RISK,
    )


def _summary(health: Window[RedisHealth], calls: float, ever: int, seen: Tie | None) -> str:
    if not calls:
        return f"{health.last.product} was emptied {ever:,} times since it started"
    head = f"{health.last.product} was emptied {calls:.0f} times in {health.seconds:.0f} s"
    if seen is None:
        return head
    words = statement(seen.statement.query, 60)
    return f"{head}; loading it again is {seen.share:.0%} of the database's time: {words}"


def _fix() -> Fix:
    return Fix(
        "Delete the keys that changed, not all; or change a version in their names",
        (
            "redis-cli CLIENT LIST  # cmd=flushall or flushdb names who does it",
            "# UNLINK product:17 when product 17 changes",
            "# or names like v42:product:17, where a release counts up: old keys expire",
            "# so that nobody does it by mistake, for the application's user:",
            "# redis-cli ACL SETUSER USER -flushall -flushdb",
        ),
        "text",
        risk="a key that is forgotten stays old until it expires: give each a time to live",
        verify="redis-cli INFO commandstats: cmdstat_flushall does not grow",
        undo="# redis-cli ACL SETUSER USER +flushall +flushdb",
    )
