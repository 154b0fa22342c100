"""log_line_prefix from the log itself: known ones first, else token by token."""

import re
from collections.abc import Iterator, Sequence

from scaledoctor.logs.sql.prefix import PRIMARY, SECONDARY, pattern
from scaledoctor.logs.sql.words import SEVERITIES

KNOWN = (
    "%m [%p] %q%u@%d ",  # Debian
    "%m [%p] ",  # the default
    "%t [%p] ",
    "%t:%r:%u@%d:[%p]:",  # Amazon RDS
    "%t-%c-",  # Azure
    "%m [%p]: [%l-1] db=%d,user=%u ",  # Cloud SQL
    "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",  # pgBadger's advice
    "%t [%p]: user=%u,db=%d,app=%a,client=%h ",
    "%m [%p] %q%u@%d/%a ",
    "%m [%p] %q[user=%u,db=%d,app=%a] ",
    "%m [%p] user=%u,db=%d,app=%a,client=%h ",
    "%m %r %u %a [%c] [%p] ",
    "%m [%p][%v] : [%l-1] %q[app=%a] ",
    "%m [%p] : [%l-1] [%x] %q[app=%a] ",
    "%p-%s-%c-%l-%h-%u-%d-%m ",
    "%m [%p]: [%l-%x] %q%u@%d ",
    "%m [%r] [%p]: [%l-1] user=%u,db=%d,e=%e ",
    "user=%u,db=%d,app=%a,client=%h ",
    "%n [%p] ",
    "%m|%u|%d|%c|",
    "[%p]: [%l-1] db=%d,user=%u ",
    "%m: [%p]: [%l-1] db=%d,user=%u,app=%a,client=%h ",
    "%t %p %u %d ",
    "[%p] [%l] %u@%d ",
)
"""Of distributions, managed services and tools."""

_WORDS = b"|".join(re.escape(w) for w in (*PRIMARY, *SECONDARY, *SEVERITIES))
_HEAD = re.compile(rb"^([^\n]{0,1000}?)(?:%s):  " % _WORDS)
_TIME = r"\d{4}-\d\d-\d\d\ \d\d:\d\d:\d\d"
_TOKEN = re.compile(
    rf"""
      (?P<m>{_TIME}\.\d{{3}}\ (?:[A-Z]{{1,6}}\b|[+-]\d\d(?::?\d\d)?))
    | (?P<t>{_TIME}\ (?:[A-Z]{{1,6}}\b|[+-]\d\d(?::?\d\d)?))
    | (?P<n>(?<!\d)\d{{10}}\.\d{{3}}(?!\d))
    | (?P<key>\b[A-Za-z_]{{1,20}})=(?P<value>"[^"]*"|\[[a-z]*\]|[^,\s\])|;]*)
    | (?P<r>\[local\]|(?:\d+\.\d+\.\d+\.\d+|[0-9a-f:]*::[0-9a-f:]*)(?:\(\d*\))?)
    | (?P<c>(?<![\w.])[0-9a-f]{{6,16}}\.[0-9a-f]{{1,8}}(?![\w.]))
    | (?P<v>(?<![\w/.])\d+/\d+(?![\w/]))
    | (?P<at>(?P<u>[^\s@:,\[\]|]*)@(?P<d>[^\s:,\]\[|/]*))
    | (?P<e>\b(?:00000|(?=\w*[A-Z])[0-9][0-9A-Z]{{4}})\b)
    | (?P<number>\d+)
    | (?P<word>[A-Za-z_][\w.-]*)
    """,
    re.VERBOSE,
)
_KEYS = {
    "u": ("user", "usr", "u", "username"), "d": ("database", "db", "dbname", "d"),
    "a": ("app", "application", "appname", "appli", "application_name", "a"),
    "h": ("client", "host", "h", "ip", "remote", "connection_source", "r"),
    "p": ("pid", "p", "process"), "c": ("session", "sess", "sid", "session_id", "c"),
    "e": ("sqlstate", "error", "err", "e", "state", "code", "sql_error_code"),
    "l": ("line", "l", "n"), "x": ("xid", "x", "tx", "txid", "xact"),
    "v": ("vxid", "vtid", "v"), "Q": ("qid", "queryid", "query_id", "q"),
    "b": ("type", "backend", "b", "backend_type"), "i": ("tag", "cmd", "command", "ps"),
}  # fmt: skip
_ESCAPES = {word: escape for escape, words in _KEYS.items() for word in words}
_SAMPLES = 20
_COLUMNS = 3
_VOTERS = 200


def infer(lines: Sequence[bytes]) -> tuple[str, float]:
    """The prefix that reads most of the lines that begin a message, and their share.

    Without any such line the share is 0.
    """
    heads = [found[1] for line in lines if (found := _HEAD.match(line))]
    heads = heads[:: max(1, len(heads) // _VOTERS)]
    if not heads:
        return "", 0.0
    best = max(_read(prefix, heads) for prefix in KNOWN)
    if best[0] < len(heads):
        best = max([best, *(_read(prefix, heads) for prefix in set(_made(heads)))])
    return best[-1], best[0] / len(heads)


def _read(prefix: str, heads: Sequence[bytes]) -> tuple[int, int, bool, bool, int, str]:
    """How many heads a prefix reads, how many fields in them, how plain and usual it is."""
    plain = "%q" not in prefix
    compiled = re.compile(pattern(prefix))
    found = [m for head in heads if (m := compiled.fullmatch(head))]
    fields = sum(1 for m in found for g in m.groups() if g)
    return len(found), fields, plain, prefix in KNOWN, -len(prefix), prefix


def _made(heads: Sequence[bytes]) -> Iterator[str]:
    """Candidates from the longest heads, with %q at each place where background ones may end."""
    texts = {head.decode("latin-1") for head in heads}
    for head in sorted(texts, key=len, reverse=True)[:_SAMPLES]:
        parts = _parts(head)
        yield "".join(parts)
        if (delimiter := max("|,;\t", key=head.count)) and head.count(delimiter) >= _COLUMNS:
            yield delimiter.join(_columns(head.split(delimiter)))
        for place in range(1, len(parts)):
            yield "".join([*parts[:place], "%q", *parts[place:]])


def _columns(fields: list[str]) -> Iterator[str]:
    """Each field as a whole: names may have blanks in them."""
    used: set[str] = set()
    for field in fields:
        found = _TOKEN.fullmatch(field)
        if found is not None and found["word"] is None:
            escape = _escape(found, used) or field
        else:
            names = (f"%{k}" for k in "uda" if k not in used)
            escape = next(names, field) if field.strip(" []") else field
        used |= set(re.findall(r"%(\w)", escape))
        yield escape


def _parts(head: str) -> list[str]:
    """The head as escapes and the text between them."""
    parts: list[str] = []
    used: set[str] = set()
    last = 0
    for found in _TOKEN.finditer(head):
        escape = _escape(found, used)
        if escape is None:
            continue
        parts += [head[last : found.start()].replace("%", "%%"), escape]
        used |= set(re.findall(r"%(\w)", escape))
        last = found.end()
    return [part for part in (*parts, head[last:].replace("%", "%%")) if part]


def _escape(found: re.Match[str], used: set[str]) -> str | None:
    """What a token stands for; None when it is plain text."""
    if found["key"] is not None:
        known = _ESCAPES.get(found["key"].lower())
        if known is None or known in used:
            return None
        known = "r" if known == "h" and "(" in found["value"] else known
        quote = '"' if found["value"].startswith('"') else ""
        return f"{found['key']}={quote}%{known}{quote}"
    if found["at"] is not None:
        return "%u@%d" if "u" not in used else None
    if found["number"] is not None:
        return next((f"%{k}" for k in "plx" if k not in used), None)
    if found["word"] is not None:
        return next((f"%{k}" for k in "uda" if k not in used), None)
    kind = next(k for k in "mtnrcve" if found[k] is not None)
    if kind == "r" and "(" not in found["r"]:
        kind = "h"
    if kind in "mt" and used & {"m", "t", "n"}:
        kind = "s"
    return f"%{kind}"
