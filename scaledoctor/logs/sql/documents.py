"""What a SQL log says, as Markdown and as JSON."""

import re
from collections.abc import Callable, Iterator

from scaledoctor.logs.sql.draw import Told, headline, named, repeats, server_lines, terminal
from scaledoctor.logs.sql.remedy import remedies, worth_telling
from scaledoctor.logs.sql.units import inert, moment, time
from scaledoctor.sdk import Style

SCHEMA = "scaledoctor.sql-log/1"

_MARKUP = re.compile(r"([\\`*_\[\]<>|#~])")


def markdown(told: Told, style: Style) -> str:
    """Markdown that can be pasted into an issue."""
    return "\n".join(_markdown(told)) + "\n"


def _markdown(told: Told) -> Iterator[str]:
    log = told.log
    yield f"# SQL log: {_inline(log.format)}"
    yield ""
    yield f"{headline(log)}, from {moment(log.first)}."
    if repeated := worth_telling(told.repeated):
        yield from ("", "## Repeated statements (N+1)", "")
    for one in repeated:
        yield f"- **{named(one, told.repeated)}**: {repeats(one, told.repeated)}"
        known = (("request", one.route), ("after", one.parent), ("repeats", one.child),
                 ("code", one.line))  # fmt: skip
        for label, text in (*known, *remedies(one)):
            if text:
                yield f"  - {label}: {_code(text)}"
    yield from ("", "## Statements by total time", "")
    yield "| share | total | count | p50 | p95 | p99 | max | statement |"
    yield "|--:|--:|--:|--:|--:|--:|--:|:--|"
    for ran in (one for one in log.statements if one.count):
        share = ran.seconds / log.busy if log.busy else 0.0
        times = " | ".join(time(n) for n in (ran.p50, ran.p95, ran.p99, ran.most))
        yield (
            f"| {share:.0%} | {time(ran.seconds)} | {ran.count:,} | {times} "
            f"| {_code(ran.statement[:300])} |"
        )
    if log.problems:
        yield from ("", "## Errors and warnings", "", "| count | severity | SQLSTATE | message |")
        yield "|--:|:--|:--|:--|"
    for problem in log.problems:
        cells = f"{problem.severity} | {problem.sqlstate} | {_inline(problem.message)}"
        yield f"| {problem.count:,} | {cells} |"
    if found := list(server_lines(log)):
        yield from ("", "## Server", "", *(f"- {_inline(line)}" for line in found))
    if told.notes:
        yield from ("", *(f"> {_inline(note)}" for note in told.notes))


def _inline(text: str) -> str:
    return _MARKUP.sub(r"\\\1", inert(text))


def _code(text: str) -> str:
    """Inline code that also a table's cell can hold."""
    return "`` " + inert(text).replace("``", "` `").replace("|", "\\|") + " ``"


def json(told: Told, style: Style) -> str:
    """All of it, for programs; times in seconds."""
    import msgspec

    document = {
        "schema": SCHEMA,
        "log": told.log,
        "repeated": told.repeated,
        "notes": told.notes,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


RENDERERS: dict[str, Callable[[Told, Style], str]] = {
    "terminal": terminal,
    "markdown": markdown,
    "json": json,
}
