"""Numbers and words of the management API, where any field may be absent or something else."""

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]
NOTHING: Json = {}


def whole(found: Json, name: str) -> int | None:
    """A number; None when it is absent, "infinity" or of another kind."""
    value = found.get(name)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def part(found: Json, name: str) -> Json:
    """An object in an object; an empty one when it is absent."""
    value = found.get(name)
    return value if isinstance(value, Mapping) else NOTHING


def word(found: Json, name: str) -> str:
    """A text; empty when it is absent."""
    value = found.get(name)
    return value if isinstance(value, str) else ""


def total(*values: int | None) -> int | None:
    """The sum of those that are known; None when none is."""
    known = [v for v in values if v is not None]
    return sum(known) if known else None
