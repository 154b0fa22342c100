"""What the checks need of nginx's configuration: no header, key or rule is kept."""

from dataclasses import dataclass

from scaledoctor.sdk import fact
from scaledoctor.sources.nginx_conf._files import Place


@dataclass(frozen=True, slots=True)
class Setting:
    """A directive of the main or the events block, as it is written."""

    value: str
    place: Place


@dataclass(frozen=True, slots=True)
class Member:
    """One ``server`` of an upstream, with nginx's defaults filled in; ``words`` as written."""

    address: str
    place: Place
    weight: int = 1
    max_fails: int = 1
    fail_timeout: float = 10.0
    backup: bool = False
    down: bool = False
    words: tuple[str, ...] = ()

    def line(self, *more: str, without: str = "") -> str:
        """The directive with further words, each in place of the one that sets the same."""
        names = {word.partition("=")[0] for word in (*more, without)}
        kept = (w for w in self.words if w.partition("=")[0] not in names)
        return " ".join(("server", self.address, *kept, *more)) + ";"


@dataclass(frozen=True, slots=True)
class Upstream:
    """One ``upstream`` block.

    ``method`` is "round robin" or the directive as written ("least_conn", "hash $uri");
    ``keepalive`` is None when the directive is absent.
    """

    name: str
    place: Place
    method: str
    method_place: Place
    members: tuple[Member, ...]
    keepalive: int | None = None
    zone: bool = False
    stream: bool = False

    @property
    def usable(self) -> tuple[Member, ...]:
        """Members that take requests in normal operation."""
        return tuple(m for m in self.members if not m.backup and not m.down)


@dataclass(frozen=True, slots=True)
class Pass:
    """One ``proxy_pass`` or its like, with what it inherits from the blocks around it.

    ``where`` names its server and location; ``target`` is an upstream, host:port or a socket, and
    empty when a variable decides at run time. Times are in seconds, 0 for no limit.
    ``connection`` is the Connection header sent to the upstream: None when it is not set, and
    also when a variable decides whose value for an ordinary request is not known.
    """

    protocol: str
    target: str
    where: str
    place: Place
    connect_timeout: float = 60.0
    read_timeout: float = 60.0
    retries: bool = True
    tries: int = 0
    tries_seconds: float = 0.0
    http_version: str = ""
    connection: str | None = None
    connection_known: bool = True
    keep_conn: bool = False


@dataclass(frozen=True, slots=True)
class Log:
    """One access log; ``upstream`` when its format has the upstream's address and time."""

    path: str
    place: Place
    upstream: bool


@fact
@dataclass(frozen=True, slots=True)
class NginxConf:
    """nginx's configuration with its includes; ``missing`` could not be read, one line each."""

    files: int
    missing: tuple[str, ...]
    processes: Setting | None
    connections: Setting | None
    nofile: Setting | None
    upstreams: tuple[Upstream, ...]
    passes: tuple[Pass, ...]
    logs: tuple[Log, ...] = ()

    @property
    def worker_connections(self) -> int:
        """Slots of one worker; nginx's default is 512."""
        return number(self.connections, 512)

    @property
    def workers(self) -> int | None:
        """Worker processes; None for "auto", which is the number of nginx's cores."""
        if self.processes and self.processes.value == "auto":
            return None
        return number(self.processes, 1)

    def passes_to(self, target: str) -> tuple[Pass, ...]:
        """The places that pass requests to an upstream or an address."""
        return tuple(p for p in self.passes if p.target == target)


def number(setting: Setting | None, default: int) -> int:
    """A setting's number, or the default when it is absent or no number."""
    return int(setting.value) if setting and setting.value.isdecimal() else default
