"""One statement as each ORM writes it."""

import ast
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from scaledoctor.logs.sql.entry import Entry
from scaledoctor.logs.stamps import iso

_PLACES = re.compile(r"\?|%s|%\(\w+\)s")
_LONG = 4000


@dataclass(frozen=True, slots=True)
class Said:
    """A statement that an application tells; ``millis`` is None without a time.

    ``follows`` says that it belongs to the one before, as parameters on a line of their own.
    """

    when: float
    sql: str
    millis: float | None = None
    values: tuple[str, ...] = ()
    request: str = ""
    session: str = ""
    line: str = ""
    follows: bool = False

    def entry(self) -> Entry:
        """In the words of PostgreSQL's log."""
        number = iter(range(1, 10_000))
        sql = _PLACES.sub(lambda m: f"${next(number)}", self.sql) if self.values else self.sql
        if self.request:
            sql += f" /*request_id='{self.request}'*/"
        took = f"duration: {self.millis:.3f} ms  " if self.millis is not None else ""
        quoted = (value.replace("'", "''") for value in self.values)
        told = ", ".join(f"${n} = '{value}'" for n, value in enumerate(quoted, 1))
        return Entry(
            self.when,
            self.session.encode(),
            b"LOG",
            f"{took}statement: {sql}".encode("utf-8", "replace"),
            f"parameters: {told}".encode("utf-8", "replace") if told else b"",
            line=self.line.encode("utf-8", "replace"),
        )

    def after(self, before: "Said") -> "Said":
        """What follows another line takes its statement."""
        return replace(self, sql=before.sql, when=before.when) if self.follows else self

    def noted(self, record: bytes) -> "Said":
        """With the line of code that ActiveRecord's verbose_query_logs puts behind it."""
        _, mark, line = _text(record[:600]).partition("↳")
        return replace(self, line=line.strip()[:300]) if mark else self


def _text(record: bytes) -> str:
    return record.decode("utf-8", "replace")


def _values(found: Any) -> tuple[str, ...]:
    values: Iterable[Any] = found.values() if isinstance(found, dict) else found
    if not isinstance(found, dict | list | tuple):
        return ()
    return tuple(str(value)[:200] for value in list(values)[:200])


def _literal(text: str) -> Any:
    """A Python literal, None when it is none or too long to be worth it."""
    try:
        return ast.literal_eval(text) if len(text) < _LONG else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


_DJANGO = re.compile(r"[^\n]{0,200}?\((\d+\.\d{3})\) (.*)", re.S)


def django(record: bytes) -> Said | None:
    """``(0.008) SELECT ...; args=(2,); alias=default``; the values stand in the SQL."""
    found = _DJANGO.match(_text(record))
    if found is None:
        return None
    sql = found[2].rpartition("; args=")[0] or found[2]
    return Said(iso(record) or 0.0, sql, float(found[1]) * 1000)


_ENGINE = re.compile(r"[^\n]{0,200}?\bsqlalchemy\.engine\.[\w.]+[ :\]-]+(.*)", re.S)
_BOUND = re.compile(
    r"\[(?:generated in|cached since|raw sql|no key|caching disabled|dialect|insertmanyvalues)"
    r"[^\]]{0,300}\] (.*)",
    re.S,
)


def sqlalchemy(record: bytes) -> Said | None:
    """A statement, then its parameters on a line of their own; no times."""
    found = _ENGINE.match(_text(record))
    if found is None:
        return None
    when, text = iso(record) or 0.0, found[1]
    if bound := _BOUND.match(text):
        return Said(when, "", values=_values(_literal(bound[1])), follows=True)
    word = text.split(" ", 1)[0].strip()
    control = word in ("BEGIN", "COMMIT", "ROLLBACK") and len(text) < 60
    return Said(when, word if control else text)


_PEEWEE = re.compile(r"[^\n]{0,200}?(\(['\"][A-Z]{2,}.*)", re.S)


def peewee(record: bytes) -> Said | None:
    """The tuple of a statement and its parameters; no times."""
    found = _PEEWEE.match(_text(record))
    pair = _literal(found[1]) if found else None
    if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], str):
        return None
    return Said(iso(record) or 0.0, pair[0], values=_values(pair[1] or ()))


_RAILS = re.compile(
    r"(?P<head>[^\n]{0,200}?)(?P<cache>CACHE )?[\w:]+(?: [A-Z][\w?]*){0,2} "
    r"\((?P<time>\d+\.\d+)ms\)\s+(?P<sql>.*?)(?:\s+(?P<binds>\[\[[^\n]*\]\]))?\s*$",
    re.S,
)
_REQUEST = re.compile(r"\[([0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32})\]")


def active_record(record: bytes) -> Said | None:
    """``Author Load (0.3ms)  SELECT ... [["id", 9]]``; the query cache asks no database."""
    found = _RAILS.match(_text(record))
    if found is None or found["cache"] or "CACHE" in found["head"]:
        return None
    request = _REQUEST.search(found["head"])
    values: tuple[str, ...] = ()
    if found["binds"]:
        try:
            values = tuple(str(pair[1])[:200] for pair in json.loads(found["binds"]))
        except (ValueError, TypeError, LookupError, RecursionError):
            values = ()
    return Said(
        iso(record) or 0.0, found["sql"], float(found["time"]), values,
        request=request[1] if request else "",
    )  # fmt: skip


_SEQUELIZE = re.compile(
    r"[^\n]{0,200}?\bExecut(?:ing|ed) \(([\w-]+)\): (.*?);?\s*(?:Elapsed time: (\d+)ms)?\s*$", re.S
)


def sequelize(record: bytes) -> Said | None:
    """``Executed (default): SELECT ...; Elapsed time: 5ms``; the name may be a transaction's."""
    found = _SEQUELIZE.match(_text(record))
    if found is None:
        return None
    millis = float(found[3]) if found[3] else None
    session = "" if found[1] == "default" else found[1]
    return Said(iso(record) or 0.0, found[2], millis, session=session)


def prisma(record: bytes) -> Said | None:
    """``prisma:query SELECT ...``; no times."""
    return Said(iso(record) or 0.0, _text(record).partition("prisma:query ")[2])


def p6spy(record: bytes) -> Said | None:
    """``time|elapsed|category|connection N|url|prepared|effective``; some versions lack the url."""
    parts = _text(record).split("|")
    if len(parts) < 6 or not (parts[0].isdigit() and parts[1].isdigit()):
        return None
    sql = parts[-1] if parts[2] in ("statement", "batch") else parts[2].upper()
    return Said(int(parts[0]) / 1000, sql, float(parts[1]), session=parts[3])


_HIBERNATE = re.compile(r"(?:Hibernate: |[^\n]{0,200}?\borg\.hibernate\.SQL\b[\s:\]-]*)(.*)", re.S)


def hibernate(record: bytes) -> Said | None:
    """show_sql or the logger org.hibernate.SQL; no times."""
    found = _HIBERNATE.match(_text(record))
    return Said(iso(record) or 0.0, found[1]) if found else None
