"""The rules that hold for a queue: its arguments, then its policy."""

from dataclasses import dataclass
from typing import Any

from scaledoctor.sources.rabbitmq._values import Json, part


@dataclass(frozen=True, slots=True)
class RabbitRules:
    """What arguments and policies say of a queue; None where they say nothing.

    ``dead_letters`` is the exchange that takes what is rejected or expires, "" the default one,
    ``dead_letter_key`` the routing key that it gets there. ``ttl`` is in seconds. ``mirrored`` is
    a classic queue's copy on other nodes, ``one_at_a_time`` a single active consumer.
    ``expires`` says that the queue itself goes when nobody uses it.
    """

    dead_letters: str | None = None
    dead_letter_key: str | None = None
    ttl: float | None = None
    max_length: int | None = None
    max_bytes: int | None = None
    max_age: str | None = None
    delivery_limit: int | None = None
    mirrored: bool = False
    one_at_a_time: bool = False
    expires: bool = False

    @property
    def bounded(self) -> bool:
        """Whether anything keeps it from growing for ever."""
        limits = (self.ttl, self.max_length, self.max_bytes, self.max_age)
        return any(limit is not None for limit in limits)


def rules_of(row: Json) -> RabbitRules:
    """Read a row of /api/queues; where both say something, the arguments hold."""
    arguments, policy = part(row, "arguments"), part(row, "effective_policy_definition")

    def said(name: str) -> Any:
        return arguments.get(f"x-{name}", policy.get(name))

    ttl = _whole(said("message-ttl"))
    return RabbitRules(
        dead_letters=_text(said("dead-letter-exchange")),
        dead_letter_key=_text(said("dead-letter-routing-key")),
        ttl=None if ttl is None else ttl / 1000,
        max_length=_whole(said("max-length")),
        max_bytes=_whole(said("max-length-bytes")),
        max_age=_text(said("max-age")),
        delivery_limit=_whole(said("delivery-limit")),
        mirrored="ha-mode" in policy,
        one_at_a_time=arguments.get("x-single-active-consumer") is True,
        expires=said("expires") is not None,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
