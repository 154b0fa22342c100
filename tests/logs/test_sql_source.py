"""``scan --log``: the newest minutes of a log, as facts."""

import asyncio
import gzip
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from scaledoctor.collect import collect
from scaledoctor.errors import ScaledoctorError
from scaledoctor.examine import examine
from scaledoctor.redact import Redactor
from scaledoctor.registry import load
from scaledoctor.sdk import Unavailable
from scaledoctor.snapshot import dumps, loads
from scaledoctor.sources import sql_log
from scaledoctor.sources.sql_log import RepeatedQueries, SqlLog
from scaledoctor.targets import Target, targets
from tests.logs.test_sql_cli import line, pages


def target(path: Path) -> Target:
    return next(t for t in targets({"log": [str(path)]}, {}) if t.kind == "sql-log")


def read(
    path: Path, meanwhile: Callable[[], object] = lambda: None
) -> tuple[SqlLog, RepeatedQueries]:
    """Open a log, let something happen, read it."""

    async def look() -> tuple[SqlLog, RepeatedQueries]:
        async with sql_log.sql_log.function(target(path), Redactor()) as session:
            meanwhile()
            return await sql_log.statements(session), await sql_log.repetitions(session)

    return asyncio.run(look())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "postgresql.log"
    file.write_bytes(pages(30))
    return file


def test_a_saved_log(path: Path) -> None:
    log, found = read(path)
    assert (log.live, log.calls, log.unread, log.seconds) == (False, 330, 0, 29.01)
    assert (found.statements, [one.pattern for one in found.found]) == (330, ["n+1"])
    path.with_suffix(".gz").write_bytes(gzip.compress(path.read_bytes()))
    assert read(path.with_suffix(".gz"))[0] == log


def test_a_log_that_grows_is_live(path: Path) -> None:
    def appended() -> None:
        with path.open("ab") as file:
            file.write(pages(1, start=40_000))

    log, _ = read(path, appended)
    assert (log.live, log.calls) == (True, 341)


def test_only_the_last_quarter_of_an_hour_is_read(path: Path) -> None:
    path.write_bytes(pages(30) + pages(30, start=1_800_000))
    assert read(path)[0].calls == 330


def test_a_large_log_says_that_less_was_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_log, "MOST_BYTES", 10_000)
    log, _ = read(path)
    assert 0 < log.calls < 200
    assert log.note == sql_log.NEWEST


def test_a_probe_that_gave_up_leaves_its_reading_to_the_next(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is not read twice at once."""
    begun, go_on, once = threading.Event(), threading.Event(), sql_log._read
    times: list[object] = []

    def slow(session: sql_log.SqlLogSession) -> tuple[SqlLog, RepeatedQueries]:
        times.append(session)
        begun.set()
        assert go_on.wait(60)
        return once(session)

    async def look() -> RepeatedQueries:
        async with sql_log.sql_log.function(target(path), Redactor()) as session:
            first = asyncio.ensure_future(sql_log.statements(session))
            await asyncio.to_thread(begun.wait, 60)
            first.cancel()
            await asyncio.wait([first])
            go_on.set()
            return await sql_log.repetitions(session)

    monkeypatch.setattr(sql_log, "_read", slow)
    assert asyncio.run(look()).statements == 330
    assert len(times) == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "the log is empty"), (b"just words\n" * 20, "look like those of a SQL log")],
)
def test_what_cannot_be_read_is_skipped_with_its_reason(
    data: bytes, reason: str, path: Path
) -> None:
    path.write_bytes(data)
    with pytest.raises(Unavailable, match=reason):
        read(path)


def test_a_missing_file_is_one_clear_line() -> None:
    with pytest.raises(ScaledoctorError, match=r"--log nowhere.log: no such file"):
        targets({"log": ["nowhere.log"]}, {})


def test_the_checks_find_it_in_a_snapshot(path: Path) -> None:
    """Through collect, the file format and back; no literal is in it."""
    with path.open("a") as file:
        file.write(line(29_500, "SELECT 's3cret' FROM book", 900.0))
    registry = load()
    snapshot = collect([target(path)], registry, Redactor(), 0.0)
    assert b"s3cret" not in dumps(snapshot)
    again = loads(dumps(snapshot), registry.facts, "test")
    found = examine(again, registry)
    assert not found.failures
    assert "app.n-plus-one" in {finding.check for finding in found.findings}
