"""What several checks on a page share: which answers count, and medians of them."""

from collections.abc import Callable, Sequence
from statistics import median

from scaledoctor.sdk import Unavailable
from scaledoctor.sources.http import Replies, Reply

SOURCE = "GET by scaledoctor"

FEWEST = 5
"""Answers below which a median is an accident."""


def counted(replies: Replies, fewest: int = FEWEST) -> list[Reply]:
    """All answers but those that only asked us to come back later.

    Raises:
        Unavailable: there are too few.

    """
    found = [reply for reply in replies.replies if not reply.refused]
    if len(found) < fewest:
        why = f" ({replies.stopped})" if replies.stopped else ""
        raise Unavailable(f"only {len(found)} answers{why}", "a longer --window asks more often")
    return found


def middle(found: Sequence[Reply], value: Callable[[Reply], float | None]) -> float:
    """The median of what is known; 0 of nothing."""
    known = [v for reply in found if (v := value(reply)) is not None]
    return median(known) if known else 0.0
