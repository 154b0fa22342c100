"""PostgreSQL's own grammar, and what it gives for statements that nobody can read."""

from typing import Any


def parsed(sql: str) -> Any | None:
    """Return the tree of a text's statements; None where it cannot be read.

    That is no SQL, a NUL in it, or an expression that is nested more than a hundred times.
    """
    import postgast
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it has none

    if "\0" in sql:
        return None  # the grammar would read what stands before it
    try:
        return postgast.parse(sql)
    except (postgast.PgQueryError, DecodeError, UnicodeEncodeError):
        return None


def only_statement(sql: str) -> Any | None:
    """Return the tree of a text if it holds exactly one statement."""
    tree = parsed(sql)
    return tree if tree is not None and len(tree.stmts) == 1 else None
