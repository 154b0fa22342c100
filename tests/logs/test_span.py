"""Which part of a log is read: what was appended, a tail before it, the end of a saved one."""

import gzip
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from scaledoctor.errors import Unavailable
from scaledoctor.logs.access import span as span_module
from scaledoctor.logs.access.recognise import recognise
from scaledoctor.logs.access.span import Span, recent
from scaledoctor.logs.readers import Log, open_log
from tests.logs.lines import many, nginx

LAYOUT = recognise([nginx().encode()] * 3)


def text(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def ticks(first: int, last: int, each: int = 1) -> bytes:
    """``each`` requests in every second from ``first`` to ``last``."""
    return text(many(lambda i: nginx(second=first + i // each), (last - first) * each))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture
def log(path: Path) -> Iterator[Log]:
    path.write_bytes(ticks(0, 1500))
    opened = open_log(path)
    with closing(opened.file):
        yield opened


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def seconds(span: Span) -> float:
    assert span.tally.first is not None
    assert span.tally.last is not None
    return span.tally.last - span.tally.first


def test_a_live_log_is_read_from_the_mark_and_ten_minutes_before(log: Log, path: Path) -> None:
    mark = log.size
    append(path, ticks(1500, 1510))
    span = recent(log, LAYOUT, mark)
    assert span.live
    assert span.tally.understood == 610
    assert seconds(span) == 609


def test_a_busy_log_needs_no_tail(log: Log, path: Path) -> None:
    mark = log.size
    append(path, ticks(1500, 1510, each=300))
    span = recent(log, LAYOUT, mark)
    assert span.live
    assert span.tally.understood == 3000
    assert seconds(span) == 9


def test_a_line_that_is_half_written_is_left_for_later(log: Log, path: Path) -> None:
    mark = log.size
    append(path, ticks(1500, 1505) + ticks(1505, 1506)[:80])
    span = recent(log, LAYOUT, mark)
    assert (span.tally.lines, span.tally.understood) == (605, 605)


def test_a_small_saved_log_is_read_as_a_whole(log: Log) -> None:
    span = recent(log, LAYOUT, log.size)
    assert not span.live
    assert span.tally.understood == 1500


def test_of_a_large_saved_log_the_last_ten_minutes(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(span_module, "SMALL", 10_000)
    span = recent(log, LAYOUT, log.size)
    assert not span.live
    assert span.tally.understood == 601
    assert seconds(span) == 600


def test_a_log_that_was_rotated_is_read_in_both_files(log: Log, path: Path) -> None:
    mark = log.size
    append(path, ticks(1500, 1505))
    path.rename(path.with_suffix(".1"))
    path.write_bytes(ticks(1505, 1508))
    span = recent(log, LAYOUT, mark)
    assert span.live
    assert span.tally.last == 1_795_600_800 + 1507
    assert span.tally.understood == 608


@pytest.mark.parametrize("took", ["99.000", "3.000"], ids=["most of the time", "a tenth"])
def test_older_lines_are_read_until_heavy_routes_are_known(path: Path, took: str) -> None:
    """A report every ten seconds; among the newest 2,000 requests is one.

    Blocks are 256 kB: what is read ends at the block that holds the twentieth report.
    """
    report = text([nginx("GET /report.pdf", spent=took)])
    path.write_bytes(b"".join(ticks(s, s + 10, each=200) + report for s in range(0, 400, 10)))
    opened = open_log(path)
    with closing(opened.file):
        mark = opened.size
        append(path, ticks(400, 401, each=2000) + report)
        span = recent(opened, LAYOUT, mark)
    assert 20 <= span.tally.routes["GET /report.pdf"].requests < 40
    assert span.note == ""


def test_a_log_that_was_copied_and_truncated_is_new(log: Log, path: Path) -> None:
    mark = log.size
    os.truncate(path, 0)
    append(path, ticks(1500, 1504))
    span = recent(log, LAYOUT, mark)
    assert span.live
    assert span.tally.understood == 4


def test_zeros_of_a_truncated_log_are_passed_over(log: Log, path: Path) -> None:
    """A writer without O_APPEND leaves a hole in front."""
    path.write_bytes(b"\0" * 5000 + ticks(0, 5))
    assert recent(log, LAYOUT, log.size).tally.understood == 5


def test_the_newest_lines_are_read_when_there_are_too_many(
    log: Log, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(span_module, "_STEP", 4096)
    mark = log.size
    append(path, ticks(1500, 1800, each=2))
    monkeypatch.setattr(span_module.Budget, "spent", property(lambda self: self.bytes < 0))
    monkeypatch.setattr(span_module, "Budget", lambda: _small_budget())
    span = recent(log, LAYOUT, mark)
    assert span.live
    assert span.note == span_module.NEWEST
    assert span.tally.last == 1_795_600_800 + 1799
    assert 40 < span.tally.understood < 200


_BUDGET = span_module.Budget


def _small_budget() -> span_module.Budget:
    return _BUDGET(bytes=16_384)


def test_a_packed_log_is_read_from_its_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(gzip.compress(ticks(0, 1500)))
    log = open_log(path)
    with closing(log.file):
        assert recent(log, LAYOUT, 0).tally.understood == 1500
    monkeypatch.setattr(span_module, "SMALL", 10_000)
    with closing(open_log(path).file) as file:
        span = recent(Log(path, file, log.packing), LAYOUT, 0)
    assert span.tally.last == 1_795_600_800 + 1499
    assert not span.live


def test_of_a_large_packed_log_the_end_is_read_and_that_is_said(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than is kept in memory, and less than ten minutes of it."""
    for name, value in (("SMALL", 10_000), ("MOST_BYTES", 4 << 20)):
        monkeypatch.setattr(span_module, name, value)
    path.write_bytes(gzip.compress(ticks(0, 590, each=60), 1))
    log = open_log(path)
    with closing(log.file):
        span = recent(log, LAYOUT, 0)
    assert span.tally.last == 1_795_600_800 + 589
    assert seconds(span) < 500
    assert span.note == span_module.NEWEST


def test_of_a_cut_packed_log_what_is_whole_is_read(path: Path) -> None:
    data = gzip.compress(ticks(0, 1500), 1)
    path.write_bytes(data[: len(data) // 2])
    log = open_log(path)
    with closing(log.file):
        span = recent(log, LAYOUT, 0)
    assert 300 < span.tally.understood < 1400
    assert "damaged or cut" in span.note


def test_a_packed_log_of_which_nothing_can_be_read(path: Path) -> None:
    path.write_bytes(gzip.compress(ticks(0, 5))[:12])
    log = open_log(path)
    with closing(log.file), pytest.raises(Unavailable, match="the gz file is damaged"):
        recent(log, LAYOUT, 0)


def test_a_log_without_times_is_read_at_its_end(path: Path) -> None:
    lines = [b'{"method":"GET","path":"/","status":200,"latency_ms":5}'] * 50
    path.write_bytes(b"\n".join(lines))
    log = open_log(path)
    with closing(log.file):
        span = recent(log, recognise(lines), log.size)
    assert span.tally.understood == 50 - 1  # the last one has no line break yet
    assert span.tally.first is None
