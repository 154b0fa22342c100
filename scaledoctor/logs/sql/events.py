"""Messages that are no statements: errors, locks, files, checkpoints, autovacuum, connections."""

import re

from scaledoctor.logs.sql.entry import Entry
from scaledoctor.logs.sql.partial import Partial
from scaledoctor.logs.sql.states import sqlstate
from scaledoctor.logs.sql.sums import Server, Vacuum, add, room
from scaledoctor.logs.sql.templates import Templates
from scaledoctor.logs.sql.times import bucket

_WAITS = re.compile(
    rb"process \d+ (still waiting for|acquired) \w+ on .{0,200}? after (\d+)\.(\d{3})"
)
_TEMP = re.compile(rb'temporary file: path "[^"]*", size (\d{1,18})')
_CHECKPOINT = re.compile(rb"(?:checkpoint|restartpoint) (starting|complete): ?(.*)", re.S)
_WROTE = re.compile(rb"wrote (\d+) buffers")
_SECONDS = re.compile(rb"(total|longest)=(\d+)\.(\d{3}) s")
_VACUUM = re.compile(
    rb'automatic (?:aggressive )?(vacuum|analyze)[^"]{0,60} of table "([^"]{1,200})"'
)
_ELAPSED = re.compile(rb"elapsed: (\d+)\.(\d\d) s")
_SESSION = re.compile(rb"disconnection: session time: (\d+):(\d\d):(\d\d)\.(\d{3})")
_OWNER = re.compile(rb"connection authorized: user=(\S+)(?: database=(\S+))?")
_VALUE = re.compile(
    rb"(?<=: )\"[^\n]*|(?<=near )\"[^\n]*|(?<=value )\"[^\"\n]*\"|'[^'\n]*'"
    rb"|\b[0-9a-f]*\d[0-9a-fx]*\b"
)
_PLACE = re.compile(rb" at character \d+\Z")
_RAISED = re.compile(rb"([^\n]{1,200}?)(?: \w+)? RAISE(?=\n|\Z)")
_SEVERE = (b"ERROR", b"FATAL", b"PANIC", b"WARNING")
_LONGEST = 200


def take(entry: Entry, partial: Partial, templates: Templates, *, literals: bool = False) -> None:
    """Count one message; without ``literals`` none of the application's own words are kept."""
    if entry.severity in _SEVERE:
        _problem(entry, partial, templates, literals=literals)
        return
    message = entry.message
    server = partial.server
    if message.startswith(b"connection "):
        _connection(message, entry.when, partial)
    elif message.startswith(b"disconnection: "):
        _disconnection(message, server)
    elif message.startswith(b"process "):
        _lock(entry, partial, templates)
    elif message.startswith(b"temporary file: "):
        _temp(entry, partial, templates)
    elif message.startswith((b"checkpoint", b"restartpoint")):
        _checkpoint(message, server)
    elif message.startswith(b"automatic "):
        _vacuum(message, server)


def masked(message: bytes) -> str:
    """The first line of a message without the values in it."""
    line = _PLACE.sub(b"", message.partition(b"\n")[0][:_LONGEST])
    return _VALUE.sub(b"?", line).decode("utf-8", "replace")


def raised(entry: Entry) -> str:
    """Where a function of the application raised a message, whose words may hold any value.

    Empty when the message is PostgreSQL's own.
    """
    if found := _RAISED.match(entry.context):
        return f"raised by {found[1].decode('utf-8', 'replace')}"
    return "raised by a function" if entry.sqlstate == b"P0001" else ""


def _problem(entry: Entry, partial: Partial, templates: Templates, *, literals: bool) -> None:
    state = entry.sqlstate if entry.sqlstate.strip(b"0") else sqlstate(entry.message)
    found = partial.problem(
        entry.severity.decode("utf-8", "replace"),
        state.decode("latin-1"),
        (not literals and raised(entry)) or masked(entry.message),
    )
    found.count += 1
    found.first = min(found.first or entry.when, entry.when)
    found.last = max(found.last, entry.when)
    if entry.severity != b"WARNING":
        partial.minute(int(entry.when) // 60).problems += 1
        if entry.statement:
            partial.statement(name(entry.statement, templates)).errors += 1


def name(text: bytes, templates: Templates) -> str:
    """The template of a statement as text."""
    return templates.names[templates.number(text)].decode("utf-8", "replace")


def _connection(message: bytes, when: float, partial: Partial) -> None:
    server = partial.server
    if message.startswith(b"connection received"):
        server.connections += 1
        partial.minute(int(when) // 60).connections += 1
    elif found := _OWNER.match(message):
        server.authorized += 1
        owner = found[1] + (b"@" + found[2] if found[2] else b"")
        add(server.by_owner, {owner.decode("utf-8", "replace"): 1})


def _disconnection(message: bytes, server: Server) -> None:
    server.disconnections += 1
    if found := _SESSION.match(message):
        hours, minutes, seconds, part = map(int, found.groups())
        server.sessions[
            bucket(((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + part * 1000)
        ] += 1


def _lock(entry: Entry, partial: Partial, templates: Templates) -> None:
    found = _WAITS.match(entry.message)
    if found is None:
        return
    server, micros = partial.server, int(found[2] + found[3])
    acquired = found[1] == b"acquired"
    server.longest_wait = max(server.longest_wait, micros)
    server.lock_waits += not acquired
    if acquired:
        server.locks_acquired += 1
        server.waited += micros
    if entry.statement:
        statement = partial.statement(name(entry.statement, templates))
        statement.waits += not acquired
        statement.waited += micros if acquired else 0


def _temp(entry: Entry, partial: Partial, templates: Templates) -> None:
    found = _TEMP.match(entry.message)
    if found is None:
        return
    server, size = partial.server, int(found[1])
    server.temp_files += 1
    server.temp_bytes += size
    server.largest_temp = max(server.largest_temp, size)
    if entry.statement:
        statement = partial.statement(name(entry.statement, templates))
        statement.temp_files += 1
        statement.temp_bytes += size


def _checkpoint(message: bytes, server: Server) -> None:
    if message.startswith(b"checkpoints are occurring too frequently"):
        server.too_frequent += 1
    found = _CHECKPOINT.match(message)
    if found is None:
        return
    if found[1] == b"starting":
        add(server.checkpoints, {found[2].strip().decode("utf-8", "replace")[:40] or "?": 1})
        return
    if wrote := _WROTE.search(found[2]):
        server.buffers += int(wrote[1])
    for kind, whole, part in _SECONDS.findall(found[2]):
        micros = int(whole + part) * 1000
        if kind == b"total":
            server.checkpoint_micros += micros
        else:
            server.longest_sync = max(server.longest_sync, micros)


def _vacuum(message: bytes, server: Server) -> None:
    found = _VACUUM.match(message)
    if found is None:
        return
    table = found[2].decode("utf-8", "replace")
    vacuum = server.vacuums.setdefault(room(server.vacuums, table), Vacuum())
    if found[1] == b"vacuum":
        vacuum.vacuums += 1
    else:
        vacuum.analyzes += 1
    if elapsed := _ELAPSED.search(message):
        vacuum.micros += int(elapsed[1] + elapsed[2]) * 10_000
