"""A Prometheus server, and which of its machines is meant."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from scaledoctor.sdk import Redactor, Target, Unavailable, source
from scaledoctor.sources._http import Http, http
from scaledoctor.sources.node_exporter._names import is_loopback, names
from scaledoctor.sources.node_exporter._series import Series
from scaledoctor.sources.prometheus._api import (
    ENABLE,
    NODES,
    History,
    expression,
    history,
    nodes,
    query,
)

MINUTES = 5
"""Of history, when the URL does not say: long enough for scrapes once a minute."""

SHOWN = 5
"""Machines named in a message."""

Node = tuple[str, str]
"""A machine's labels: instance and job."""


@dataclass
class PrometheusSession:
    """A client, the labels of the machine, and its history once it was read."""

    web: Http
    redactor: Redactor
    base: str
    node: Node
    minutes: int
    machine: str
    machines: tuple[str, ...] = ()
    kept: History = ()

    @property
    def spent(self) -> list[float]:
        """The seconds of each request."""
        return self.web.spent

    async def past(self) -> History:
        """All series of the machine, moment by moment; read once.

        Raises:
            Unavailable: no answer, or nothing in it.

        """
        if not self.kept:
            instance, job = self.node
            asked = expression({"instance": instance, "job": job}, self.minutes)
            self.kept = history(await query(self.web, self.base, asked))
        return self.kept


@source("prometheus", PrometheusSession)
@asynccontextmanager
async def prometheus(target: Target, redactor: Redactor) -> AsyncIterator[PrometheusSession]:
    """A machine of the last minutes, through the Prometheus that watches its node_exporter."""
    parts = urlsplit(target.dsn)
    asked = dict(parse_qsl(parts.query))
    base, own = parts.path.rstrip("/"), parts.hostname or ""
    async with http(target) as web:
        try:
            found = nodes(await query(web, base, NODES))
        except Unavailable as no:
            raise Unavailable(no.reason, no.enable or ENABLE) from None
        node = chosen(found, asked.get("instance", ""), target.names, redactor)
        # What Prometheus scrapes on its own loopback is the machine that it runs on itself.
        host = host_of(node[0])
        known = await names(own if is_loopback(host) else host, target.names, found[node])
        yield PrometheusSession(
            web=web,
            redactor=redactor,
            base=base,
            node=node,
            minutes=int(asked.get("minutes", MINUTES)),
            machine=redactor.text(_nodename(found[node]) or host),
            machines=known,
        )


def chosen(
    found: Mapping[Node, Series], asked: str, others: Iterable[str], redactor: Redactor
) -> Node:
    """The machine that is meant: the one asked for, the only one, or another target's.

    Raises:
        Unavailable: none, or several.

    """
    if not found:
        raise Unavailable(
            "this Prometheus has no machine: no series node_uname_info",
            "let it scrape the node_exporter of that machine",
        )
    theirs = set(others) - {""}
    fitting = [n for n in found if asked in (n[0], host_of(n[0]), _nodename(found[n]))]
    if not asked:
        fitting = [n for n in found if {host_of(n[0]), _nodename(found[n])} & theirs] or [*found]
        fitting = [*found] if len(found) == 1 else fitting
    if len({instance for instance, _ in fitting}) == 1:
        return fitting[0]
    known = sorted({instance for instance, _ in found})
    listed = redactor.text(", ".join(known[:SHOWN])) + (" ..." if len(known) > SHOWN else "")
    what = "no such machine" if asked else f"{len(known)} machines"
    raise Unavailable(f"{what} in this Prometheus: {listed}", "add ?instance=HOST to its URL")


def host_of(instance: str) -> str:
    """The host of an instance such as "db1:9100" or "[::1]:9100"."""
    try:
        return urlsplit(f"//{instance}").hostname or ""
    except ValueError:
        return ""


def _nodename(series: Series) -> str:
    return series.label("node_uname_info", "nodename")
