"""Connection parameters that libpq does not know: an ORM's own, or a slip of the pen."""

import re
from difflib import get_close_matches

_UNKNOWN = re.compile(r'invalid (?:URI query parameter|connection option):? "([A-Za-z_]\w{0,31})"')

_NAME = re.compile(r"[A-Za-z_][\w.-]{0,31}")


def without_unknown(url: str) -> tuple[str, str]:
    """Take what libpq does not know out of a URL's query; return the rest and a note for people.

    ORMs and frameworks put settings of their own there: ``?schema=public&pool_size=5``.
    """
    before, mark, query = url.partition("?")
    # The mark may be a part of the password, and so may what follows an unquoted one.
    if not mark or "@" in query or "password" in query.lower():
        return url, ""
    known = set(_names())
    parts = [part for part in query.split("&") if part]
    # ssl=true is JDBC's word, which libpq understands in a URL.
    kept = [p for p in parts if p == "ssl=true" or ("=" in p and p.partition("=")[0] in known)]
    left = [p.partition("=")[0] for p in parts if p not in kept]
    names = ", ".join(dict.fromkeys(n if _NAME.fullmatch(n) else "a nameless part" for n in left))
    rest = f"{before}?{'&'.join(kept)}" if kept else before
    return rest, f"left out what PostgreSQL does not know: {names}" if left else ""


def _names() -> list[str]:
    from psycopg.pq import Conninfo

    return [option.keyword.decode() for option in Conninfo.get_defaults()]


def unknown(error: str, dsn: str) -> tuple[str, str] | None:
    """Name the parameter that libpq refused, and what to do; None when it may be a secret.

    What follows an unquoted password may be a part of it.
    """
    found = _UNKNOWN.search(error)
    before = dsn.partition(found[1])[0] if found else ""
    if found is None or "password" in before.lower() or "@" in dsn.partition("?")[2]:
        return None
    near = get_close_matches(found[1], _names(), 1)
    hint = f"did you mean {near[0]}?" if near else "take it out: it is not PostgreSQL's"
    return f"PostgreSQL has no connection parameter {found[1]!r}", hint
