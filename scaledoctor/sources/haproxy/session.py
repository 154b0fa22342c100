"""HAProxy as a target: its stats page, or its stats socket, read-only either way."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scaledoctor.sdk import Redactor, Target, source
from scaledoctor.sources._http import http
from scaledoctor.sources.haproxy import _page, _socket

if TYPE_CHECKING:
    from scaledoctor.sources.haproxy.now import HaproxyNow

Key = tuple[str, str]
"""Proxy and server."""

_FOREIGN = re.compile(r"[^A-Za-z0-9_.:-]")
"""What HAProxy refuses in a name; whoever answers in its place may send it."""


@dataclass
class HaproxySession:
    """Gives the statistics as CSV, and what the process says of itself by field name.

    ``spent`` has the seconds of each request. ``listed`` are the servers of which rows are kept,
    chosen at the first reading so that all readings have the same; ``clean`` are redacted texts.
    ``held`` is a sample that was dear to take and is given again until ``hold_until``.
    """

    stat: Callable[[], Awaitable[str]]
    info: Callable[[], Awaitable[Mapping[str, str]]]
    redactor: Redactor
    spent: list[float]
    listed: frozenset[Key] | None = None
    clean: dict[str, str] = field(default_factory=dict)
    held: "HaproxyNow | None" = None
    hold_until: float = 0.0

    def name(self, value: str) -> str:
        """As :meth:`text`, with HAProxy's own letters only: names become part of commands."""
        return self.text(_FOREIGN.sub("?", value))

    def text(self, value: str) -> str:
        """Mask secrets in a name or message and cut it to a line's length, each text once."""
        if value not in self.clean:
            self.clean[value] = self.redactor.text(value)[:160]
        return self.clean[value]


@source("haproxy", HaproxySession)
@asynccontextmanager
async def haproxy(target: Target, redactor: Redactor) -> AsyncIterator[HaproxySession]:
    """HAProxy 2.0 or later, by its stats page or its stats socket."""
    if target.dsn.startswith(("http://", "https://")):
        async with http(target) as client:
            page = _page.Page(client)
            await page.greet()
            yield HaproxySession(page.stat, page.info, redactor, client.spent)
    else:
        runtime = _socket.Runtime(target.dsn)
        await runtime.greet()
        yield HaproxySession(runtime.stat, runtime.info, redactor, runtime.spent)
