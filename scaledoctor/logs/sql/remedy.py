"""What to do instead of repeating a statement, in lines for a report."""

from collections.abc import Iterator

from scaledoctor.logs.nplusone.idioms import idioms, orm
from scaledoctor.logs.nplusone.judging import Pattern
from scaledoctor.logs.nplusone.report import Repeated, RepeatedQueries

PIPELINED = 0.0001
"""Seconds between writes below which their driver sends them together (executemany)."""

WRITES = frozenset({Pattern.WRITES, Pattern.TRANSACTIONS})


_MANY = {
    "INSERT": "one INSERT of many rows (bulk_create, insert_many, insert_all), or COPY",
    "UPDATE": "one UPDATE ... FROM unnest($1, $2) AS new(id, value) (bulk_update)",
    "DELETE": "one DELETE ... WHERE id = ANY($1)",
}


def worth_telling(found: RepeatedQueries) -> list[Repeated]:
    """All but writes that wait for nothing."""
    return [
        one
        for one in found.found
        if one.pattern not in WRITES or one.waited >= PIPELINED * one.calls
    ]


def remedies(one: Repeated) -> Iterator[tuple[str, str]]:
    """Yield what to do, with a label of one word: the one statement, and the ORM's words for it.

    Where the statement's style tells its ORM, only that one's.
    """
    if one.pattern is Pattern.TRANSACTIONS:
        yield "instead", "one transaction for all rows"
    elif one.pattern is Pattern.WRITES:
        yield "instead", _MANY.get(one.child[:6].upper(), "many rows with one statement")
    elif one.pattern is Pattern.DUPLICATE or one.constant:
        yield "instead", "ask once per request and keep the answer"
    else:
        if one.batched:
            yield "instead", one.batched
        lines = idioms(one.relation, one.parent_table, one.table, one.column, one.child)
        if lines:
            yield "in code", lines[0] if orm(one.child) else "; ".join(lines)
