"""Slots that can be had back at once, whoever holds them."""

from collections import Counter
from collections.abc import Iterator

from scaledoctor.sdk import Fix, Window
from scaledoctor.sources.postgres import Activity


def free_now(window: Window[Activity]) -> Iterator[Fix]:
    """End the connections that were idle for the whole window; none where there are none."""
    quiet = max(1.0, round(window.seconds))
    unused = [
        s for s in window.last.sessions if s.state == "idle" and (s.state_age or 0.0) >= quiet
    ]
    if not unused:
        return
    holders = Counter(s.label for s in unused).most_common(4)
    names = ", ".join(f"{label} {count}" for label, count in holders)
    yield Fix(
        f"Free {len(unused)} idle connections now ({names})",
        (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND state = 'idle' "
            f"AND state_change < now() - interval '{quiet:.0f} seconds';",
        ),
        risk="pools see lost connections and open new ones when they need them; what a session "
        "kept (LISTEN, advisory locks, temporary tables) is gone",
        verify="SELECT application_name, state, count(*) FROM pg_stat_activity "
        "GROUP BY 1, 2 ORDER BY 3 DESC;",
        undo="none needed",
    )


def who(window: Window[Activity]) -> str:
    """Who holds the sessions: "3 instances of web", or "6 applications (web 16, api 12, ...)"."""
    places = {(s.client, s.label) for a in window for s in a.sessions}
    counts = Counter(s.label for s in window.last.sessions)
    if len(counts) == 1:
        return f"{len(places)} instances of {next(iter(counts))}"
    names = ", ".join(f"{label} {count}" for label, count in counts.most_common(4))
    more = f" and {len(counts) - 4} more" if len(counts) > 4 else ""
    return f"{len(counts)} applications ({names}{more})"
