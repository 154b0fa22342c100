"""The source on files as people give them: good, empty, foreign, broken, hostile."""

import asyncio
import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from scaledoctor.collect import collect
from scaledoctor.errors import ScaledoctorError
from scaledoctor.logs.access import span
from scaledoctor.redact import Redactor
from scaledoctor.registry import load
from scaledoctor.sdk import Unavailable, Unreachable
from scaledoctor.snapshot import dumps, loads
from scaledoctor.sources import access_log
from scaledoctor.sources.access_log import AccessLog
from scaledoctor.targets import Target, targets
from tests.logs.lines import haproxy, many, nginx

GOOD = many(lambda i: nginx(f"GET /orders/{i}?token=s3cret{i}", second=i), 300)


def target(path: Path) -> Target:
    return next(t for t in targets({"access-log": [str(path)]}, {}) if t.kind == "access-log")


def read(path: Path, meanwhile: Callable[[], object] = lambda: None) -> AccessLog:
    """Open a log, let something happen, read it."""

    async def look() -> AccessLog:
        async with access_log.access_log.function(target(path), Redactor()) as session:
            meanwhile()
            return await access_log.requests(session)

    return asyncio.run(look())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def test_a_saved_log(path: Path) -> None:
    found = read(write(path, text(GOOD)))
    assert (found.live, found.lines, found.unread, found.requests) == (False, 300, 0, 300)
    assert found.seconds == 300
    assert found.busy == pytest.approx(2.7)
    assert [r.name for r in found.routes] == ["GET /orders/:id"]
    assert [s.name for s in found.servers] == ["10.0.0.1:80"]
    assert "s3cret" not in repr(found)
    assert "10.1.2.3" not in repr(found)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_log_says_the_same(pack: Callable[[bytes], bytes], path: Path) -> None:
    plain = read(write(path, text(GOOD)))
    assert read(write(path.with_suffix(".gz"), pack(text(GOOD)))) == plain


def test_a_log_that_grows_is_live(path: Path) -> None:
    def appended() -> None:
        with path.open("ab") as file:
            file.write(text(many(lambda i: nginx("GET /new", second=300 + i), 10)))

    found = read(write(path, text(GOOD)), appended)
    assert found.live
    assert found.requests == 310
    assert found.seconds == 310


def test_an_empty_log_into_which_requests_come(path: Path) -> None:
    found = read(write(path, b""), lambda: path.write_bytes(text(GOOD[:20])))
    assert found.live
    assert found.requests == 20


def test_lines_that_are_no_requests_are_counted(path: Path) -> None:
    found = read(write(path, text([*GOOD, *["Proxy web started."] * 30])))
    assert (found.lines, found.unread) == (330, 30)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the log is empty"),
        (b"\n\n\n", "the log is empty"),
        (os.urandom(1) * 0 + bytes(range(256)) * 500, "this is not a text file"),
        (b"\0" * 100_000, "the log is empty"),
        (b"2026-11-25 10:00:00 UTC [7] LOG:  duration: 1 ms\n" * 50, "only 0 of 50 lines"),
        (b"<!doctype html>\n<html>\n" * 50, "only 0 of 100 lines"),
        (b"x" * 10_000_000, "only 0 of 1 lines"),
        (text(GOOD)[:100_000] + b"\xff\xfe\n" * 30_000, "only 0 of 200 lines"),
        (gzip.compress(text(GOOD))[:20], "the gz file is damaged"),
        (gzip.compress(b"no log\n" * 99), "only 0 of 99 lines"),
        (gzip.compress(b""), "the log is empty"),
        (b"\x1f\x8b" + b"garbage" * 99, "the gz file is damaged"),
        (b"BZh9" + b"garbage" * 99, "the bz2 file is damaged"),
        (b"\xfd7zXZ\x00" + b"garbage" * 99, "the xz file is damaged"),
    ],
    ids=range(14),
)
def test_what_is_no_access_log_is_told_in_one_line(data: bytes, words: str, path: Path) -> None:
    """Never an empty report, never a traceback."""
    with pytest.raises(Unavailable) as told:
        read(write(path, data))
    assert words in told.value.reason
    assert "\n" not in told.value.reason
    assert told.value.enable


def test_a_log_that_changed_its_format_long_ago(path: Path) -> None:
    """More than half of what is read is not of the newest lines' format."""
    with pytest.raises(Unavailable, match=r"300 of 500 lines are not of the format HAProxy"):
        read(write(path, text([*GOOD, *[haproxy()] * 200])))


def test_folders_and_missing_files_are_wrong_options(tmp_path: Path) -> None:
    with pytest.raises(ScaledoctorError, match="is a folder, not a file"):
        target(tmp_path)
    with pytest.raises(ScaledoctorError, match="no such file"):
        target(tmp_path / "none")


def test_a_file_that_we_may_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so the refusal of open() is put in its place."""
    where = target(write(path, b"x"))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)

    async def look() -> None:
        async with access_log.access_log.function(where, Redactor()):
            pass

    with pytest.raises(Unreachable, match="Permission denied") as told:
        asyncio.run(look())
    assert told.value.category == "denied"
    assert "setfacl" in told.value.enable


def test_a_long_line_among_good_ones(path: Path) -> None:
    data = text(GOOD[:150]) + b"GET /" + b"A" * 10_000_000 + b"\n" + text(GOOD[150:])
    found = read(write(path, data))
    assert found.requests == 300
    assert found.unread <= 2


@pytest.mark.parametrize(
    "agent",
    [
        "\x1b[2J\x1b]0;owned\x07", 'a" 500 0 "b" rt=99.000', "[25/Nov/2026:10:00:00 +0000]",
        '[25/Nov/2026:10:00:00 +0000] "GET /evil HTTP/1.1" 500 1 "-" "-" rt=9.000',
        "\\" * 200, "'; DROP TABLE users; --", "\u202egnp.exe", "<script>alert(1)</script>",
    ],
)  # fmt: skip
def test_a_hostile_agent_changes_nothing(agent: str, path: Path) -> None:
    """As nginx writes it, which escapes quotes, and as one would that does not."""
    escaped = agent.replace("\\", "\\x5C").replace('"', "\\x22")
    for words in (escaped, agent):
        lines = [line.replace("Mozilla/5.0 (X11)", words, 1) for line in GOOD[:100]]
        found = read(write(path, text([*GOOD, *lines])))
        assert {r.name for r in found.routes} <= {"GET /orders/:id", "GET /evil"}
        assert sum(r.errors for r in found.routes if r.name == "GET /orders/:id") == 0
        assert repr(found).isprintable()


@pytest.mark.parametrize("ending", ["\r\n", "\n", "\r\r\n"])
def test_line_ends_of_other_systems(ending: str, path: Path) -> None:
    found = read(write(path, "".join(line + ending for line in GOOD).encode()))
    assert (found.requests, found.unread) == (300, 0)


def test_a_million_names_take_little_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Distinct paths and distinct strange requests, 30,000 of each here; however busy we are."""
    monkeypatch.setattr(span, "SECONDS", 600.0)
    lines = many(lambda i: nginx(f"GET /{chr(97 + i % 26)}{i * 7919:x}zz/{i:x}q"), 30_000)
    found = read(write(path, text(lines)))
    assert len(found.routes) <= 101
    assert found.requests == 30_000


def test_the_fact_survives_a_snapshot(path: Path) -> None:
    registry = load()
    given = targets({"access-log": [str(write(path, text(GOOD)))]}, {})
    snapshot = collect(given, registry, Redactor(), 0.0)
    (record,) = [r for r in snapshot.records if r.kind == "access-log"]
    assert record.reach.ok
    assert not record.failures
    again = loads(dumps(snapshot), registry.facts)
    assert again == snapshot
    assert b"s3cret" not in dumps(snapshot)


def test_a_file_that_is_no_log_makes_its_target_unreachable(path: Path) -> None:
    given = targets({"access-log": [str(write(path, b"hello\n" * 9))]}, {})
    snapshot = collect(given, load(), Redactor(), 0.0)
    (record,) = [r for r in snapshot.records if r.kind == "access-log"]
    assert not record.reach.ok
    assert record.reach.message == "only 0 of 9 lines look like requests of an access log"
    assert not record.failures
