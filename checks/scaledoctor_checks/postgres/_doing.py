"""What the sessions did over the window, by what they waited for."""

from collections import Counter
from collections.abc import Iterator

from scaledoctor.sdk import Band, Chart, Window
from scaledoctor.sources.postgres import Activity, Session
from scaledoctor_checks.postgres._blocking import waiters

RUNNING, HELD = "running", "idle in transaction"


def doing(window: Window[Activity]) -> Chart | None:
    """Sessions in a statement or a transaction by wait_event_type; None with few samples, or none.

    Without a wait event a session runs: it has a core or wants one; that none does is told too.
    Idle sessions and spares that wait for their leader's advisory lock are left out.
    """
    counts = Window(tuple((at, Counter(_names(activity))) for at, activity in window.samples))
    total = sum(counts, Counter[str]())
    others = sorted(total.keys() - {RUNNING}, key=lambda name: (-total[name], name))
    bands = tuple(Band(name, _values(counts, name)) for name in (RUNNING, *others))
    if not total or not bands[0].values:
        return None
    return Chart("What sessions did", "sessions", window.seconds, bands, "idle ones left out")


def _values(counts: Window[Counter[str]], name: str) -> tuple[float, ...]:
    return counts.history(lambda count: count[name])


def _names(activity: Activity) -> Iterator[str]:
    against_their_will = {s.pid for s in waiters(activity)}
    for session in activity.sessions:
        if not session.blocked or session.pid in against_their_will:
            yield from _name(session)


def _name(session: Session) -> Iterator[str]:
    if session.idle_in_transaction:
        yield HELD
    elif session.state not in ("idle", ""):
        yield session.wait_type or RUNNING
