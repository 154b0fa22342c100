"""A system to look at, and whether it let us in."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

HERE = "localhost"
"""The name of this machine, whatever else it is called."""


@dataclass(frozen=True, slots=True)
class Target:
    """One system to look at.

    ``name`` is its stable role ("postgres:shop", "haproxy", "host"), part of fingerprints;
    ``address`` is for people and never holds a secret; ``dsn`` may hold one and is never stored
    or printed; ``local_port`` is set when the address is one of this machine. ``names`` are
    objects in it that the user asked for by name, such as plain lists that are queues. ``note``
    is what people should know about how it was read.
    """

    kind: str
    name: str
    address: str
    dsn: str = field(default="", repr=False)
    named: bool = True
    local_port: int | None = None
    names: tuple[str, ...] = ()
    note: str = ""

    @property
    def machine(self) -> str:
        """The name by which its machine is reached; ``HERE`` for ours, empty when unknown.

        Several hosts, and a sentinel that only knows where the server is, name no machine.
        """
        if self.local_port is not None or self.kind == HOST.kind:
            return HERE
        scheme, separator, rest = self.address.rpartition("://")
        if "sentinel" in scheme or "," in rest or (not separator and ":" not in rest):
            return ""
        try:
            return urlsplit(f"//{rest}").hostname or ""
        except ValueError:
            return ""


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether a target let us in: a core fact that every target has.

    ``seconds`` is the time to a usable session. When ``ok`` is False, ``category`` is one word
    ("slots", "auth", "dns", "tls", "timeout", "refused", ...) and ``code`` the system's own.
    ``local_port`` is the target's port when it is on this machine. ``machine`` is the name of the
    target's machine, ``machines`` are all names of the one that the target tells about, where
    that is what it is for; the first one is for people.
    """

    ok: bool
    seconds: float
    category: str = ""
    code: str = ""
    message: str = ""
    enable: str = ""
    local_port: int | None = None
    machine: str = ""
    machines: tuple[str, ...] = ()


HOST = Target(kind="host", name="host", address="this machine", named=False)
