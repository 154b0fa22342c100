"""The index that a digest of MySQL asks for, by the columns that it compares with values."""

import re

from scaledoctor.sql import equality_predicates

_TAIL = re.compile(r"\bLIMIT\b[^)]*$", re.I)


def index_for(digest: str, schema: str) -> tuple[str, str] | None:
    """CREATE INDEX and what takes it back; None where the statement pins no column of one table.

    The digest is read with PostgreSQL's grammar, once its quotes and marks are put in its way.
    """
    text = _TAIL.sub("", digest.replace('"', "")).replace("`", '"')
    text = text.replace("( ... )", "(...)").replace("(...)", "($1)").replace("?", "$1")
    found = equality_predicates(text)
    if len(found) != 1 or not found[0].columns:
        return None
    one = found[0]
    home = one.schema or schema
    table = f"{_quoted(home)}.{_quoted(one.table)}" if home else _quoted(one.table)
    name = _quoted("_".join((one.table, *one.columns))[:60])
    columns = ", ".join(map(_quoted, one.columns))
    return (
        f"CREATE INDEX {name} ON {table} ({columns});",
        f"DROP INDEX {name} ON {table};",
    )


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
