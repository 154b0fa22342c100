"""INFO's text as numbers, whatever a version or a service leaves out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Info:
    """INFO's lines by name."""

    lines: Mapping[str, str]

    def text(self, name: str) -> str:
        """A line's value; empty where it is not told."""
        return self.lines.get(name, "")

    def number(self, name: str) -> float | None:
        """A number; None where it is not told."""
        try:
            return float(self.text(name))
        except ValueError:
            return None

    def count(self, name: str) -> int:
        """A count; 0 where it is not told, as with counters that a version does not have."""
        return int(self.number(name) or 0)

    def known(self, name: str) -> int | None:
        """A count; None where it is not told."""
        value = self.number(name)
        return None if value is None else int(value)

    def fine(self, name: str) -> bool:
        """Whether a status says ok, or is not told."""
        return self.text(name) in ("", "ok")

    def named(self, prefix: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Lines such as ``cmdstat_get:calls=1,usec=5``: the rest of the name, and the pairs."""
        for name, value in self.lines.items():
            if name.startswith(prefix) and "=" in value:
                pairs = (word.partition("=") for word in value.split(","))
                yield name.removeprefix(prefix), {key: told for key, _, told in pairs}
