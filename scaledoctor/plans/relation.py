"""What the catalogue knows of a table: enough to tell which index it lacks."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Index:
    """An index; ``keys`` are its columns in order, "" for an expression."""

    name: str
    keys: tuple[str, ...]
    plain: bool
    unique: bool


@dataclass(frozen=True, slots=True)
class Column:
    """A column's statistics: ``distinct`` values (negative: a share of the rows), NULLs, width."""

    distinct: float
    nulls: float
    width: int


@dataclass(frozen=True, slots=True)
class Relation:
    """A table; ``root`` is the partitioned table that it is a part of, (schema, name).

    ``writes`` are inserts, updates that were not HOT, and deletes so far. ``locked`` means that
    somebody holds or awaits an exclusive lock. A ``plain`` index is valid, btree and not partial.
    """

    schema: str
    name: str
    rows: float
    pages: int
    writes: int = 0
    locked: bool = False
    root: tuple[str, str] | None = None
    indexes: tuple[Index, ...] = ()
    columns: Mapping[str, Column] = field(default_factory=dict)

    def selectivity(self, column: str) -> float:
        """Share of the rows that one value of a column has; 1 when never analysed."""
        found = self.columns.get(column)
        if found is None or not found.distinct:
            return 1.0
        distinct = found.distinct if found.distinct > 0 else -found.distinct * max(self.rows, 1.0)
        return 1.0 / max(distinct, 1.0)

    def leads(self, keys: tuple[str, ...]) -> bool:
        """Whether an index that may be used for everything begins with these columns."""
        return any(i.plain and i.keys[: len(keys)] == keys for i in self.indexes)

    def extends(self, keys: tuple[str, ...]) -> str:
        """The index that these keys go on from, needless then; never a unique one."""
        found = [i for i in self.indexes if i.plain and not i.unique and len(i.keys) < len(keys)]
        found = [i for i in found if keys[: len(i.keys)] == i.keys]
        return max(found, key=lambda i: len(i.keys)).name if found else ""
