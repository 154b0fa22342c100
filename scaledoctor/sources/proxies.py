"""Groups of members as Envoy, Traefik and Caddy show them: one model, so that a check is one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from scaledoctor.sdk import Unavailable, fact


class Policy(StrEnum):
    """How a group chooses its member; ``EVEN`` ones give requests by weight alone."""

    EVEN = "even"
    LEAST = "least"
    HASH = "hash"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ProxyMember:
    """One server of a group.

    ``down`` is why it gets nothing, in the proxy's own words, empty when it is used; ``drained``
    that somebody wants it so. ``place`` is its locality and priority where there are such.
    ``most`` is how many requests it may have at once, None without a limit. The counters are
    None where the proxy does not count by member: ``requests`` sent to it, ``failed`` ones (5xx,
    resets, time-outs, no connection), and of these the ``timeouts`` and the ``unconnected``.
    """

    address: str
    down: str = ""
    drained: bool = False
    weight: float = 1.0
    place: str = ""
    most: int | None = None
    requests: int | None = None
    failed: int | None = None
    timeouts: int | None = None
    unconnected: int | None = None


@dataclass(frozen=True, slots=True)
class ProxyGroup:
    """Members that share requests: a cluster, a service, or the upstreams of a handler.

    ``method`` is the policy in the proxy's own word, ``checked`` how it finds out that a member
    fails ("active", "passive"), empty when it does not. ``used`` is False when no route leads to
    it. ``names`` says that an address may stand for several, because it is looked up by name.
    """

    name: str
    members: tuple[ProxyMember, ...]
    policy: Policy = Policy.OTHER
    method: str = ""
    checked: tuple[str, ...] = ()
    used: bool = True
    names: bool = False


@fact
@dataclass(frozen=True, slots=True)
class ProxyGroups:
    """All groups of one proxy; ``product`` is "envoy", "traefik" or "caddy"."""

    product: str
    groups: tuple[ProxyGroup, ...]


@dataclass(frozen=True, slots=True)
class InHand:
    """What one member had in hand at one moment: requests, waiting ones, connections.

    ``group`` is empty where the member belongs to several that cannot be told apart.
    """

    group: str
    address: str
    active: int
    waiting: int = 0
    connections: int = 0


@fact
@dataclass(frozen=True, slots=True)
class ProxyLoad:
    """Members with anything in hand at one moment; all others had nothing."""

    members: tuple[InHand, ...]

    def by_member(self) -> Mapping[tuple[str, str], InHand]:
        """The same by group and address."""
        return {(m.group, m.address): m for m in self.members}


@contextmanager
def as_expected(what: str) -> Iterator[None]:
    """Turn an answer of another form than documented into Unavailable."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Unavailable(f"{what} does not answer in the form that is documented") from None
