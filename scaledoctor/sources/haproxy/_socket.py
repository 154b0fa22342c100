"""The stats socket: one command for each connection, only ``show info`` and ``show stat``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from scaledoctor.errors import Unavailable, Unreachable
from scaledoctor.sources._http import MOST_BYTES
from scaledoctor.sources.haproxy._csv import check_header

if TYPE_CHECKING:
    import asyncio

SECONDS = 3.0
"""One command, connecting included; below the engine's deadline for a reading."""

LEVEL = "name the stats socket of the process itself, level user is enough"


@dataclass
class Runtime:
    """A socket, ``unix:PATH`` or ``tcp://HOST:PORT``; ``spent`` has each command's seconds."""

    place: str
    spent: list[float] = field(default_factory=list)

    async def greet(self) -> None:
        """Ask who it is.

        Raises:
            Unreachable: no connection, no permission, or no answer in time.
            Unavailable: what answers is not HAProxy.

        """
        _told(await self._ask("show info"))

    async def info(self) -> Mapping[str, str]:
        """What the process says of itself."""
        return _told(await self._reading("show info"))

    async def stat(self) -> str:
        """The CSV of all proxies."""
        text = await self._reading("show stat")
        check_header(text, f"{len(text)} characters")
        if not text.endswith("\n\n"):
            raise Unavailable("HAProxy's CSV is cut off: the socket was closed in between")
        return text

    async def _reading(self, command: str) -> str:
        try:
            return await self._ask(command)
        except Unreachable as no:
            raise Unavailable(no.message, no.enable) from None

    async def _ask(self, command: str) -> str:
        import asyncio

        began = monotonic()
        try:
            async with asyncio.timeout(SECONDS):
                reader, writer = await self._connect()
                try:
                    writer.write(command.encode() + b"\n")
                    return (await _all(reader)).decode("utf-8", "replace")
                finally:
                    writer.close()
        except TimeoutError:
            message = f"the socket does not answer within {SECONDS:g} s"
            raise Unreachable("timeout", message) from None
        except OSError as error:
            raise _refused(error) from None
        finally:
            self.spent.append(monotonic() - began)

    async def _connect(self) -> "tuple[asyncio.StreamReader, asyncio.StreamWriter]":
        import asyncio

        if self.place.startswith("unix:"):
            return await asyncio.open_unix_connection(self.place.removeprefix("unix:"))
        host, _, port = self.place.removeprefix("tcp://").rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port))


async def _all(reader: "asyncio.StreamReader") -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := await reader.read(1 << 16):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise Unavailable(f"the answer is larger than {MOST_BYTES // 2**20} MB")
    return b"".join(parts)


def _told(text: str) -> Mapping[str, str]:
    """``Name: value`` by line."""
    pairs = (line.partition(":") for line in text.splitlines())
    found = {name.strip(): value.strip() for name, separator, value in pairs if separator}
    if found.get("Name") == "HAProxy" or "Uptime_sec" in found:
        return found
    if not text.strip():
        raise Unavailable("the socket answers nothing", LEVEL)
    if "nknown command" in text or "ermission denied" in text:
        raise Unavailable("the socket does not know or allow 'show info'", LEVEL)
    raise Unavailable("what answers on the socket is not HAProxy", LEVEL)


def _refused(error: OSError) -> Unreachable:
    import socket

    words = error.strerror or str(error)
    if isinstance(error, FileNotFoundError):
        return Unreachable("missing", "no such socket", "", "see 'stats socket' in haproxy.cfg")
    if isinstance(error, PermissionError):
        enable = "join the group of 'stats socket ... group', or give the socket mode 660"
        return Unreachable("auth", "no permission to use the socket", "", enable)
    if isinstance(error, socket.gaierror):
        return Unreachable("dns", words, "", "check the host name")
    return Unreachable("refused", words, "", "is HAProxy running, is this its stats socket?")
