"""A system to look at, and whether it let us in."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Target:
    """One system to look at.

    ``name`` is its stable role ("postgres:shop", "haproxy", "host"), part of fingerprints;
    ``address`` is for people and never holds a secret; ``dsn`` may hold one and is never stored
    or printed; ``local_port`` is set when the address is one of this machine. ``names`` are
    objects in it that the user asked for by name, such as plain lists that are queues.
    """

    kind: str
    name: str
    address: str
    dsn: str = field(default="", repr=False)
    named: bool = True
    local_port: int | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether a target let us in: a core fact that every target has.

    ``seconds`` is the time to a usable session. When ``ok`` is False, ``category`` is one word
    ("slots", "auth", "dns", "tls", "timeout", "refused", ...) and ``code`` the system's own.
    ``local_port`` is the target's port when it is on this machine.
    """

    ok: bool
    seconds: float
    category: str = ""
    code: str = ""
    message: str = ""
    enable: str = ""
    local_port: int | None = None


HOST = Target(kind="host", name="host", address="this machine", named=False)
