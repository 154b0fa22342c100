"""The rows of /api/queues: all of them, or the fullest of very many."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from scaledoctor.sdk import Unavailable
from scaledoctor.sources.proxies import as_expected
from scaledoctor.sources.rabbitmq._values import Json, whole, word
from scaledoctor.sources.rabbitmq.session import Query, RabbitSession

PER_PAGE = 500
"""The most that RabbitMQ gives at once."""

MOST = 2000
"""Queues up to which all are read: 4 requests of 0.1 s (6,000 queues, 3.10, one core)."""

FULLEST = 100
"""Of more, those with the most messages; their names fit into one request."""

_COUNTED = ("publish", "deliver", "get", "deliver_no_ack", "get_no_ack", "redeliver", "ack")

_COLUMNS = ",".join(
    (
        "name", "vhost", "type", "state", "messages_ready", "messages_unacknowledged", "consumers",
        "message_bytes", "message_bytes_ram", "memory", "head_message_timestamp", "arguments",
        "policy", "effective_policy_definition", "members", "online", "exclusive", "auto_delete",
        *(f"message_stats.{name}" for name in _COUNTED),
    )
)  # fmt: skip

ALL: Query = {"columns": _COLUMNS}

TOTALS: Query = {"disable_stats": "true", "enable_queue_totals": "true"}
"""Only the contents, straight from the queues: cheap to sort by, and there without statistics."""

BY_MESSAGES: Query = {
    **TOTALS, "sort": "messages", "sort_reverse": "true", "columns": "name,vhost,messages"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """Rows, of ``total`` queues that this user may see; without statistics only their contents."""

    rows: tuple[Json, ...]
    total: int
    statistics: bool = True


async def found_queues(rabbit: RabbitSession) -> Found:
    """List the queues with everything that is needed of them."""
    first = await _page(rabbit, ALL)
    if first.total > MOST:
        return Found(await _fullest(rabbit), first.total)
    rows = list(first.rows)
    for number in range(2, -(-first.total // PER_PAGE) + 1):
        rows += (await _page(rabbit, ALL, number)).rows
    if rows and not any("messages_ready" in row for row in rows):
        bare = await _without_statistics(rabbit, first.total)
        return Found(bare, first.total, statistics=rabbit.overview.get("disable_stats") is not True)
    return Found(tuple(rows), first.total)


async def _fullest(rabbit: RabbitSession) -> tuple[Json, ...]:
    """Sort without statistics, then ask for those of the first ones by their names."""
    fullest = await _page(rabbit, BY_MESSAGES, size=FULLEST)
    wanted = {(word(r, "vhost"), word(r, "name")) for r in fullest.rows}
    pattern = f"^({'|'.join(sorted(re.escape(name) for _, name in wanted))})$"
    rows = await _page(rabbit, {**ALL, "name": pattern, "use_regex": "true"})
    return tuple(r for r in rows.rows if (word(r, "vhost"), word(r, "name")) in wanted)


async def _without_statistics(rabbit: RabbitSession, total: int) -> tuple[Json, ...]:
    rows: list[Json] = []
    for number in range(1, -(-total // PER_PAGE) + 1):
        rows += (await _page(rabbit, TOTALS, number)).rows
    return tuple(rows)


async def _page(rabbit: RabbitSession, what: Query, number: int = 1, size: int = PER_PAGE) -> Found:
    """One page; a page that is gone since the first one is empty, and not an error."""
    query = {**what, "page": number, "page_size": size}
    answer = await rabbit.ask("queues", query=query, also=400)
    if answer.status == 400 and number == 1:
        raise Unavailable("/api/queues takes no pages: is it older than RabbitMQ 3.6?")
    with as_expected("RabbitMQ's /api/queues"):
        found = answer.json("/api/queues") if answer.status == 200 else {}
        items: Sequence[Json] = found.get("items", ())
        return Found(tuple(items), whole(found, "total_count") or 0)
