"""HAProxy's own threads: how much of their time is left."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Reach, Severity, Step, Window, check
from scaledoctor.sources.haproxy import HaproxyInfo
from scaledoctor_checks.balancing._haproxy_words import runtime, setting

SOURCE = "show info"


@check("haproxy.cpu-bound", step=Step.SCALE_OUT)
def cpu_bound(
    window: Window[HaproxyInfo],
    reach: Reach | None,
    /,
    *,
    idle: float = 0.2,
    spent: float = 0.05,
) -> Iterator[Finding]:
    """HAProxy's threads have hardly any time left.

    Why: every byte of every request goes through them; the servers look quick and idle while
    requests wait inside HAProxy, where no queue shows them.
    How measured: Idle_pct of ``show info``, the share of the last second or so that the event
    loops waited for something to do, below ``idle`` at both edges of the window; high below
    ``spent``. On this machine it may also be others that take the cores: then it follows from
    them.
    Fix: a thread for each core; else less work for them, such as TLS, compression and logs.
    When to ignore: a load test of HAProxy itself.
    References: HAProxy, management guide 9.3, "show info"; configuration manual, "nbthread".
    """
    left = [one.idle for one in window if one.idle is not None]
    if not left or max(left) >= idle:
        return
    threads = window.last.threads
    whose = "its time" if threads == 1 else "their time"
    count = f"{threads} thread{'s' if threads != 1 else ''}" if threads else "threads"
    local = reach is not None and reach.local_port is not None
    yield Finding(
        subject="haproxy",
        summary=f"HAProxy's {count} had {max(left):.0%} of {whose} left",
        severity=Severity.HIGH if max(left) < spent else Severity.MEDIUM,
        confidence=Confidence.MEDIUM,
        evidence=(
            Evidence("idle share, the most seen", max(left), "share", idle, SOURCE),
            Evidence("threads", float(threads or 0) or "not told", source=SOURCE),
        ),
        fixes=(_threads(threads),),
        waits_for={"host.cpu": 1.0} if local else {},
        impact=0.5 if max(left) < spent else 0.2,
    )


def _threads(threads: int | None) -> Fix:
    verify = runtime("show info") + " | grep -E 'Idle_pct|Nbthread'"
    if threads == 1:
        return setting(
            "Give it a thread for each core",
            (
                "# in global; without the line there is a thread for each core",
                "# nbthread 1   (remove)",
            ),
            risk="counters of stick tables and limits stay common; the servers get more at once",
            verify=verify,
            undo="nbthread 1, and reload",
        )
    return setting(
        "Take work off it, then a second HAProxy beside it",
        (
            "# in global: keep TLS sessions, so that fewer handshakes are made anew",
            "tune.ssl.cachesize 100000",
            "# in defaults: no compression, no log of good requests",
            "option dontlog-normal",
        ),
        risk="good requests leave no line in the log",
        verify=verify,
    )
