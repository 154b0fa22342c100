"""Which statement of the database the misses of a cache become."""

from dataclasses import dataclass

from scaledoctor.sdk import Window
from scaledoctor.sources.postgres import Activity, Statements
from scaledoctor.sources.redis.traffic import RedisTraffic
from scaledoctor_checks.postgres._heavy import Heavy, heavy
from scaledoctor_checks.redis._facts import lookups

LEAST = 100
"""Misses, and calls of a statement, below which equal numbers are chance."""

LEAST_LOST, LEAST_SHARE = 0.2, 0.1
"""The share of lookups lost, and of the database's time, below which there is nothing to tie."""

LOW, HIGH = 0.75, 1.35
"""Calls of the statement over misses: one read for each, less those that several clients share,
and more for the readings of both servers that are not of the same moment."""


@dataclass(frozen=True, slots=True)
class Tie:
    """One statement is called as often as the cache has misses.

    ``share`` is its part of all statements' time, ``per_miss`` its calls over the misses.
    """

    statement: Heavy
    share: float
    per_miss: float
    misses: float

    def behind(self, one: Heavy) -> float:
        """The share of that statement's calls which load what the cache did not have."""
        return min(1.0, 1 / self.per_miss) if one.key == self.statement.key else 0.0


def tie(
    traffic: Window[RedisTraffic] | None,
    activity: Window[Activity] | None,
    statements: Window[Statements] | None,
) -> Tie | None:
    """The statement that loads what the cache does not have; None unless the numbers agree."""
    found = lookups(traffic) if traffic else None
    if found is None or activity is None or statements is None or len(statements) < 2:
        return None
    if found.misses < LEAST or found.misses < LEAST_LOST * found.count:
        return None
    misses = found.misses / found.seconds
    for one in heavy(activity, statements):
        per_miss = one.calls / statements.seconds / misses
        if one.calls >= LEAST and LOW <= per_miss <= HIGH and one.share >= LEAST_SHARE:
            return Tie(one, one.share, per_miss, misses)
    return None
