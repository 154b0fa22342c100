"""Envoy's admin interface: GET only, because its POSTs change things."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from scaledoctor.sdk import Redactor, Target, Unavailable, fact, probe, source
from scaledoctor.sources._http import Http, http

ENABLE = "give the address of the admin interface, as in: admin: {address: {socket_address: ...}}"


@dataclass
class EnvoySession:
    """A client, and what /server_info said."""

    web: Http
    info: dict[str, Any]

    @property
    def spent(self) -> list[float]:
        """The seconds of each request."""
        return self.web.spent

    async def json(self, path: str) -> dict[str, Any]:
        """One answer as a JSON object.

        Raises:
            Unavailable: no answer, another status, or something else.

        """
        return _object((await self.web.reading(path)).json(f"Envoy's {path.partition('?')[0]}"))


@source("envoy", EnvoySession)
@asynccontextmanager
async def envoy(target: Target, redactor: Redactor) -> AsyncIterator[EnvoySession]:
    """Envoy, through its admin interface."""
    async with http(target) as web:
        try:
            info = _object((await web.get("/server_info")).json("what answers"))
        except Unavailable as no:
            raise Unavailable(f"{no.reason}: not Envoy's admin interface", ENABLE) from None
        if "version" not in info or "state" not in info:
            raise Unavailable("this is not Envoy's admin interface", ENABLE)
        yield EnvoySession(web, info)


def _object(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise Unavailable("not what Envoy answers: no JSON object")
    return found


@fact
@dataclass(frozen=True, slots=True)
class EnvoyServer:
    """The process: its version, and what it says of itself ("LIVE", "DRAINING")."""

    version: str
    state: str


@probe(cost="none: read when connecting")
async def envoy_server(envoy: EnvoySession) -> EnvoyServer:
    """Read /server_info."""
    parts = str(envoy.info["version"]).split("/")  # commit/1.40.0/Clean/RELEASE/BoringSSL
    return EnvoyServer(parts[1] if len(parts) > 1 else parts[0], str(envoy.info["state"]))
