"""Words for several sessions that hold one row's lock together."""

from scaledoctor.sdk import Confidence, Fix
from scaledoctor_checks.postgres._root import Root


def together(root: Root) -> str:
    """Name the others, for the end of a summary; empty when it holds the row alone."""
    others = [s for pid, s in sorted(root.sharers.items()) if pid != root.pid]
    if not others:
        return ""
    names = ", ".join(f"{s.label} (pid {s.pid})" for s in others[:4])
    more = f" and {len(others) - 4} more" if len(others) > 4 else ""
    return f"; {names}{more} locked rows of the same table: all who share the row must end"


def confidence(root: Root) -> Confidence:
    """Which of them share the very row cannot be read."""
    return Confidence.MEDIUM if root.sharers else Confidence.HIGH


def end_all(root: Root) -> Fix:
    """End every one of them, the one in front first."""
    pids = [root.pid, *(pid for pid in sorted(root.sharers) if pid != root.pid)]
    return Fix(
        "End all that may share the row's lock, one after the other, until nobody waits",
        tuple(f"SELECT pg_terminate_backend({pid});  -- {root.label_of(pid)}" for pid in pids),
        risk="uncommitted work of each is rolled back; one that locked other rows ends in vain",
        verify="SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock';",
        undo="none: the applications run their work again",
    )
