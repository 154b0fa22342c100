"""What the checks on a SQL log share: rates, how recent an error is, whose it is."""

from collections.abc import Iterator

from scaledoctor.sdk import Kind
from scaledoctor.sources.sql_log import SqlLog, Told

SOURCE = "SQL log"

RECENT = 300.0
"""Seconds before the log's end within which an error still tells of now: our own choice, a third
of the quarter of an hour that a scan reads."""

SEVERE = frozenset({"ERROR", "FATAL", "PANIC"})


def errors(log: SqlLog, sqlstate: str, words: str = "") -> list[Told]:
    """The errors of an SQLSTATE, those alone whose message has the words."""
    return [
        told
        for told in log.problems
        if told.sqlstate == sqlstate and told.severity in SEVERE and words in told.message
    ]


def per_minute(log: SqlLog, count: float) -> float:
    """A rate over the span; a log of less than a minute counts as one."""
    return count * 60 / max(log.seconds, 60.0)


def kind(log: SqlLog, found: list[Told]) -> Kind:
    """Live while the newest of them is recent, else a risk: it may come again."""
    newest = max(told.last for told in found)
    return Kind.LIVE if newest >= log.first + log.seconds - RECENT else Kind.RISK


def blamed(log: SqlLog, count: int, share: float) -> Iterator[tuple[str, int]]:
    """Statements that surely have ``share`` of an error's ``count``, and how many at least.

    The log's sums tell errors of a statement, and errors of a kind, but not both: those of the
    statement that cannot be of another kind.
    """
    others = sum(t.count for t in log.problems if t.severity in SEVERE) - count
    for ran in sorted(log.statements, key=lambda one: -one.errors):
        surely = min(count, ran.errors - others)
        if surely > 0 and surely >= share * count:
            yield ran.statement, surely
