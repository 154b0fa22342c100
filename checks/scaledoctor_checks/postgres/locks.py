"""Sessions that wait for locks: how much of the busy time."""

from scaledoctor.sdk import (
    Step,
    Use,
    Window,
    resource,
)
from scaledoctor.sources.postgres import Activity, Server
from scaledoctor_checks.postgres._blocking import waiters, working
from scaledoctor_checks.postgres._doing import doing

SOURCE = "pg_stat_activity, pg_blocking_pids()"


@resource("postgres.locks", step=Step.TIGHTEN)
def locks(
    server: Server, window: Window[Activity], /, *, warn: float = 0.1, critical: float = 0.3
) -> Use:
    """Working sessions that wait for another session's lock.

    How measured: mean sessions with wait_event_type Lock (row, table, transaction or advisory
    locks; not ``extend``) over all that run, wait, or ran something within the window. Spares that
    wait for a leader's advisory lock are left out. Contended from a mean of one waiter.
    Thresholds: a fifth of the sampled session time waiting on Lock is the point at which
    trouble was seen in practice; busy from ``warn``, half of that, saturated from ``critical``.
    """
    window.last.require_visible(server)
    waiting = window.mean(lambda a: len(waiters(a)))
    busy = window.mean(lambda a: len(working(a, window.seconds)))
    return Use(
        used=waiting,
        limit=max(busy, 1.0),
        unit="working sessions",
        warn=warn,
        critical=critical,
        waiting=waiting,
        contended=waiting >= 1.0,
        scales=False,
        history=window.history(lambda a: len(waiters(a))),
        chart=doing(window),
    )
