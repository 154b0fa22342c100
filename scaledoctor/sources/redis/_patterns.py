"""Names of keys as patterns: user:17:cart is one of user:*:cart."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

SEPARATORS = re.compile(r"([:/|.])")

VARIES = re.compile(r"\d|@|[^\x20-\x7e]|.{33}")
"""A part that has a digit, an address's sign, a byte that is no letter, or is long: a value."""

DISTINCT = 10
"""Names that differ in one part alone, above which that part is a value too."""


LONGEST = 200
"""Bytes of a name that are looked at."""


def patterns(names: Iterable[bytes]) -> Mapping[bytes, str]:
    """The pattern of each name; parts that look like values, or take many, become ``*``."""
    parts = {name: _parts(name) for name in names}
    for place in range(max((len(p) for p in parts.values()), default=0)):
        others: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for words in parts.values():
            if place < len(words):
                others[_without(words, place)].add(words[place])
        parts = {
            name: _starred(words, place)
            if place < len(words) and len(others[_without(words, place)]) > DISTINCT
            else words
            for name, words in parts.items()
        }
    return {name: "".join(words) for name, words in parts.items()}


def pattern_of(name: str) -> str:
    """A single name with the parts that look like values left out."""
    return "".join(_parts(name.encode()))


def _parts(name: bytes) -> tuple[str, ...]:
    words = SEPARATORS.split(name[:LONGEST].decode("utf-8", "replace"))
    return tuple("*" if VARIES.search(word) else word for word in words)


def _without(words: tuple[str, ...], place: int) -> tuple[str, ...]:
    return (str(place), *words[:place], "", *words[place + 1 :])


def _starred(words: tuple[str, ...], place: int) -> tuple[str, ...]:
    return (*words[:place], "*", *words[place + 1 :])
