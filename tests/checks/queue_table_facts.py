"""Tables of jobs over a window for the tests of checks, with what does not matter filled in."""

from dataclasses import replace
from typing import Any

from scaledoctor.sdk import Window
from scaledoctor.sources.postgres.queues import QueueTable, QueueTables

TABLE = QueueTable(
    system="oban", schema="public", name="oban_jobs", readable=True, hidden=False, locked=False,
    pages=5000, live=200, dead=0, inserted=0, updated=0, deleted=0, vacuums=3, vacuumed=20.0,
    leading=("id", "state"), words=("oban_jobs",),
)  # fmt: skip

FETCH = "UPDATE public.oban_jobs SET state = $1 WHERE id IN (SELECT id FOR UPDATE SKIP LOCKED)"


def tables(**changes: Any) -> Window[QueueTables]:
    """One table at both ends of ten seconds; pairs are (then, now)."""

    def at(end: int) -> QueueTables:
        values = {k: v[end] if isinstance(v, tuple | list) else v for k, v in changes.items()}
        return QueueTables((replace(TABLE, **values),))

    return Window.of(at(0), at(1), every=10.0)
