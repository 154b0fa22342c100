"""node_exporter's metrics page: one GET serves every fact of that moment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from urllib.parse import urlsplit

from scaledoctor.sdk import Redactor, Target, Unavailable, source
from scaledoctor.sources._http import Answer, Http, http
from scaledoctor.sources._metrics import samples
from scaledoctor.sources.node_exporter._names import names
from scaledoctor.sources.node_exporter._series import WANTED, Series

ENABLE = "give node_exporter's address, as in http://host:9100"
FRESH = 0.3
"""Seconds in which a page serves all facts: those of one edge are read one after the other."""


@dataclass
class NodeSession:
    """A client, the last page with its time, and all names of the machine."""

    web: Http
    redactor: Redactor
    page: str
    series: Series
    at: float
    machine: str
    machines: tuple[str, ...] = ()

    @property
    def spent(self) -> list[float]:
        """The seconds of each request."""
        return self.web.spent

    async def now(self) -> Series:
        """The series of this moment.

        Raises:
            Unavailable: no answer, or another one than at the beginning.

        """
        if monotonic() - self.at > FRESH:
            at = monotonic()
            self.series = series(await self.web.reading(self.page))
            self.at = at
        return self.series


@source("node-exporter", NodeSession)
@asynccontextmanager
async def node_exporter(target: Target, redactor: Redactor) -> AsyncIterator[NodeSession]:
    """Another machine, through the page that its node_exporter has for Prometheus."""
    parts = urlsplit(target.dsn)
    page = parts.path if parts.path.strip("/") else "/metrics"
    async with http(target) as web:
        at = monotonic()
        try:
            found = series(await web.get(page))
        except Unavailable as no:
            raise Unavailable(no.reason, no.enable or ENABLE) from None
        host = parts.hostname or ""
        known = await names(host, target.names, found)
        machine = found.label("node_uname_info", "nodename") or host
        yield NodeSession(web, redactor, page, found, at, redactor.text(machine), known)


def series(answer: Answer) -> Series:
    """Read a metrics page.

    Raises:
        Unavailable: it is something else, or another exporter's.

    """
    if answer.looks == "an HTML page":
        raise Unavailable("what answers is an HTML page, no metrics", ENABLE)
    found = Series.of(samples(answer.text, WANTED))
    if not found.all("node_cpu_seconds_total") and not found.all("node_uname_info"):
        raise Unavailable("these are metrics, but not node_exporter's", ENABLE)
    return found
