"""An index that was tried, and the statements that make it and take it back."""

from dataclasses import dataclass

from scaledoctor.sql import identifier, literal


@dataclass(frozen=True, slots=True)
class Trial:
    """An index with the statement's cost before it and with it; ``tested`` by the planner itself.

    ``pages`` and ``writes`` are the table's; ``size`` is the index's in bytes, estimated;
    ``replaces`` an index that it makes needless; ``reads`` the node that reads the table now and
    ``using`` the index that it has. ``partitioned`` tables get one for each partition;
    ``referring`` is a foreign key that deleted rows search.
    """

    schema: str
    table: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    where: str
    before: float
    after: float
    tested: bool
    pages: int
    rows: float
    writes: int
    reads: str
    using: str
    replaces: str = ""
    partitioned: bool = False
    referring: bool = False
    size: float = 0.0

    @property
    def label(self) -> str:
        """schema.table (columns)."""
        return f"{self.schema}.{self.table} ({', '.join(self.columns)})"

    @property
    def subject(self) -> str:
        """What a finding about it is named by: schema.table(columns)."""
        return f"{self.schema}.{self.table}({', '.join(self.columns)})"

    @property
    def proof(self) -> str:
        """How much it saves, and how that is known."""
        how = "tested with HypoPG" if self.tested else "estimated, not tested"
        return f"the planner's cost falls from {self.before:,.0f} to {self.after:,.0f} ({how})"

    @property
    def name(self) -> str:
        """Its name, as PostgreSQL would choose it."""
        return "_".join((self.table, *self.columns, "idx"))[:63]

    def commands(self) -> tuple[str, ...]:
        """What makes it without keeping writers out."""
        table = f"{identifier(self.schema)}.{identifier(self.table)}"
        where = f" WHERE {self.where}" if self.where else ""
        keys = f"({', '.join(self.keys)}){where}"
        if not self.partitioned:
            name = identifier(self.name)
            return (f"CREATE INDEX CONCURRENTLY {name} ON {table} {keys};",)
        each = literal(f"CREATE INDEX CONCURRENTLY ON %s {keys.replace('%', '%%')}")
        return (
            f"SELECT format({each}, relid) FROM pg_partition_tree({literal(table)}) "
            "WHERE isleaf \\gexec",
            f"CREATE INDEX {identifier(self.name)} ON {table} {keys};",
        )

    def undo(self) -> str:
        """What takes it back."""
        name = f"{identifier(self.schema)}.{identifier(self.name)}"
        return f"DROP INDEX {'' if self.partitioned else 'CONCURRENTLY '}{name};"

    @property
    def price(self) -> str:
        """What it costs to make and to have."""
        words = (
            f"reads the whole table once and takes about {max(self.size / 1e6, 0.1):,.1f} MB, does "
            f"not block writes, waits for old transactions to end; each write then maintains one "
            f"more index ({self.writes:,} so far)"
        )
        if self.replaces:
            words += f"; index {self.replaces} begins like it and can go once it is used"
        return words
