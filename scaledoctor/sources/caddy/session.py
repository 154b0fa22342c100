"""Caddy's admin API: GET only, because everything else changes the configuration."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from scaledoctor.sdk import Redactor, Target, Unavailable, Unreachable, source
from scaledoctor.sources._http import Http, http
from scaledoctor.sources.caddy._config import groups, metrics_on
from scaledoctor.sources.proxies import ProxyGroup, as_expected

ENABLE = "give the address of the admin API, http://127.0.0.1:2019 when it is not changed"
ORIGIN = "ask on Caddy's own machine, or add this host to admin.origins of its configuration"


@dataclass
class CaddySession:
    """A client, and what the configuration says: its groups, and whether requests are counted."""

    web: Http
    redactor: Redactor
    groups: tuple[ProxyGroup, ...] = ()
    metrics: bool = False

    @property
    def spent(self) -> list[float]:
        """The seconds of each request."""
        return self.web.spent


@source("caddy", CaddySession)
@asynccontextmanager
async def caddy(target: Target, redactor: Redactor) -> AsyncIterator[CaddySession]:
    """Caddy, through its admin API."""
    path = urlsplit(target.dsn).path.rstrip("/")
    for ending in ("/config", "/metrics", "/reverse_proxy/upstreams"):
        path = path.removesuffix(ending)
    async with http(target) as web:
        try:
            app = (await web.get(f"{path}/config/apps/http")).json("what answers")
        except Unreachable as no:
            enable = ORIGIN if no.category == "auth" else no.enable
            raise Unreachable(no.category, no.message, no.code, enable) from None
        except Unavailable as no:
            raise Unavailable(f"{no.reason}: not Caddy's admin API", ENABLE) from None
        session = CaddySession(web, redactor)
        with as_expected("Caddy's configuration"):
            session.groups = groups(app or {}, redactor)
            session.metrics = metrics_on(app or {})
        yield session
