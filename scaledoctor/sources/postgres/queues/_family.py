"""What is known of a library that keeps its queues in tables: where its jobs are, and who works."""

from dataclasses import dataclass

DUE = "extract(epoch FROM {0}) <= extract(epoch FROM now())"
"""A time has come, whether its column has a zone or holds UTC without one, as Rails and Ecto do."""


@dataclass(frozen=True, slots=True)
class Part:
    """Jobs that one condition finds: ``kind`` is an SQL expression that names what they are.

    Kinds are ready, in_flight, scheduled, retrying, dead, stuck; NULL for what is not counted.
    ``since`` is the column that their age is counted from. In a large table they are looked for
    only where an index leads with a column of ``index``, or where that is empty: then every row
    counts, or the library always makes a partial index.
    """

    kind: str
    where: str = "true"
    since: str = "NULL::timestamptz"
    index: tuple[str, ...] = ()
    source: str = ""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """One library: found by a table of this name that has these columns.

    SQL may use ``{schema}`` and ``{table}``, quoted. ``id`` grows with each job: by it arrivals
    are counted while several queues share the table; empty where ids do not grow. ``workers``
    gives (queues, consumers, slots): names by comma, ``*`` for all, ``x*`` by prefix; where it
    does not count them, no row means that nothing is known. ``dated`` gives (id, age) of the jobs
    in ``%(ids)s`` that have no time of their own; ``paused`` gives (queue). These three read the
    tables ``needs``. ``words`` are in every statement that takes a job.
    """

    system: str
    table: str
    columns: tuple[str, ...]
    queue: str
    parts: tuple[Part, ...]
    words: tuple[str, ...]
    schema: str = "public"
    id: str = ""
    workers: str = ""
    counts_workers: bool = True
    dated: str = ""
    paused: str = ""
    needs: tuple[str, ...] = ()


def later(column: str, tried: str) -> str:
    """The kind of a job that waits for its time, or for another try, or for a worker."""
    due = DUE.format(column)
    return (
        f"CASE WHEN {column} IS NULL OR {due} THEN 'ready' "
        f"WHEN {tried} THEN 'retrying' ELSE 'scheduled' END"
    )
