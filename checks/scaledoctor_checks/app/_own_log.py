"""A server's own log, when other logs are in the same scan."""

from collections.abc import Sequence

from scaledoctor.logs.nplusone.report import RepeatedQueries
from scaledoctor.sources.sql_log import SqlLog


def superseded(
    log: SqlLog | RepeatedQueries, logs: Sequence[SqlLog | RepeatedQueries] | None
) -> bool:
    """Whether another log tells it: one that was named with --log, or the same server's own.

    The latter is there when several databases of one server are in the scan.
    """
    if not log.own or not logs:
        return False
    first = next((one for one in logs if one.own == log.own), log)
    return first is not log or any(not one.own for one in logs)
