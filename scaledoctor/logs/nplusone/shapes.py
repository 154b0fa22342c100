"""What a statement is to the N+1 detector, by the real grammar, once per template."""

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from scaledoctor.sql.outline import Does, outline


class Role(IntEnum):
    """What a statement does; the order of the last two is used: from READ on it is counted."""

    OTHER = 0
    """Of no account: settings, the catalogue, a SELECT without FROM."""
    BEGIN = 1
    END = 2
    POOL = 3
    """Only a pooler sends it between two clients."""
    READ = 4
    WRITE = 5


@dataclass(frozen=True, slots=True)
class Shape:
    """``many``: it can give several rows; ``plain``: it reads one table, ungrouped."""

    role: Role
    many: bool = False
    plain: bool = False


_MARK = re.compile(r"\?\+?")
_POOL = re.compile(rb"DISCARD ALL\Z|SET application_name='?\?'?\Z")
_ROLES = {
    Does.NOTHING: Role.OTHER,
    Does.BEGIN: Role.BEGIN,
    Does.END: Role.END,
    Does.READ: Role.READ,
    Does.WRITE: Role.WRITE,
}


def numbered(name: bytes) -> str:
    """A template as a statement that the grammar takes: ``$1, $2`` for its marks, in order."""
    count = 0

    def number(_: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return f"${count}"

    return _MARK.sub(number, name.decode(errors="replace"))


@lru_cache(maxsize=1 << 16)
def shape(name: bytes) -> Shape:
    """Classify a template."""
    if _POOL.match(name):
        return Shape(Role.POOL)
    found = outline(numbered(name))
    return Shape(_ROLES[found.does], found.many, found.plain)
