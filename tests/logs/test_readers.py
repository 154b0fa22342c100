"""Blocks of whole lines from either end, and bisection on time, in bounded memory."""

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaledoctor.errors import Unreachable
from scaledoctor.logs import readers, stamps
from scaledoctor.logs.readers import backwards, find_time, gathered, lines, open_log, whole


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@given(st.lists(st.binary(max_size=9).map(lambda b: b.replace(b"\n", b"")), max_size=30),
       st.integers(1, 40), st.integers(0, 60), st.booleans())  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_every_line_is_in_exactly_one_block(
    tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], size: int, start: int, ends: bool
) -> None:
    """Backwards in blocks of any size is the same as forwards at once, from any line on."""
    data = b"\n".join(texts) + (b"\n" if ends else b"")
    path = tmp_path_factory.mktemp("log") / "x"
    path.write_bytes(data)
    with closing(open_log(path).file) as file:
        found = list(backwards(file, min(start, len(data)), len(data), size))
    first = 0 if start == 0 else data.find(b"\n", start - 1) + 1 if start <= len(data) else 0
    expected = data[first:] if start == 0 or first else b""
    assert b"".join(reversed(found)) == (expected if start <= len(data) else b"")


def test_a_line_longer_than_a_block_is_cut_and_the_rest_is_read(path: Path) -> None:
    """10 MB without a break cost LONGEST bytes of memory."""
    path.write_bytes(b"first\n" + b"x" * 10_000_000 + b"\nlast\n")
    with closing(open_log(path).file) as file:
        blocks = list(backwards(file, 0, path.stat().st_size))
    assert blocks[0] == b"last\n"
    assert blocks[-1].startswith(b"first\nxxx")
    assert max(map(len, blocks)) <= readers.BLOCK + readers.LONGEST
    assert sum(map(len, blocks)) < 3 * readers.BLOCK


def test_a_line_that_is_still_being_written_waits(path: Path) -> None:
    path.write_bytes(b"one\ntwo\nthr")
    log = open_log(path)
    with closing(log.file) as file:
        assert log.size == 8
        assert whole(file, 3) == 3  # no break so far: one line


def gaps(sizes: list[int], data: bytes) -> Iterator[bytes]:
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


@given(st.lists(st.integers(0, 50), max_size=20), st.integers(1, 64))
@settings(deadline=None)
def test_a_stream_comes_in_whole_lines(sizes: list[int], size: int) -> None:
    data = b"".join(b"line %d\n" % i for i in range(60)) + b"end"
    found = list(gathered(gaps(sizes, data), size))
    assert b"".join(found) == data
    assert all(block.endswith(b"\n") for block in found[:-1])


def test_of_a_long_line_in_a_stream_the_middle_goes() -> None:
    chunks = [b"a\n", *[b"x" * 1_000_000] * 10, b"\nb\n"]
    found = list(gathered(iter(chunks)))
    assert found[0] == b"a\n"
    assert b"".join(found).endswith(b"\nb\n")
    assert max(map(len, found)) < 3 * readers.BLOCK


def test_bisection_finds_the_first_line_of_a_time(path: Path) -> None:
    """Against a scan of all lines, for many times, with lines that have none in between."""
    rng = random.Random(1)
    second, texts = 0, list[bytes]()
    for number in range(20_000):
        second += rng.choice((0, 0, 1))
        minute, hour = second // 60 % 60, second // 3600
        text = b"2026-11-25 %02d:%02d:%02d UTC line %d\n" % (hour, minute, second % 60, number)
        texts.append(text if rng.random() > 0.1 else b"\tcontinued\n")
    path.write_bytes(b"".join(texts))
    known = [stamps.iso(text) for text in texts]
    last = next(t for t in reversed(known) if t is not None)
    with closing(open_log(path).file) as file:
        for back in (-5, 0, 1, 60, 599, 3000, 100_000):
            when = last - back
            first = next((i for i, t in enumerate(known) if t and t >= when), len(texts))
            expected = sum(map(len, texts[:first]))
            assert find_time(file, when, stamps.iso, 0, path.stat().st_size) == expected


def test_bisection_reads_little(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MB need fewer than 40 reads."""
    line = b"2026-11-25 %02d:%02d:%02d GET / %s\n"
    rows = (line % (i // 3600 % 24, i // 60 % 60, i % 60, b"x" * 900) for i in range(70_000))
    path.write_bytes(b"".join(rows))
    reads: list[int] = []
    real = readers.read_at

    def counting(file: object, start: int, size: int) -> bytes:
        reads.append(size)
        return real(file, start, size)  # type: ignore[arg-type]  # the same file

    monkeypatch.setattr(readers, "read_at", counting)
    with closing(open_log(path).file) as file:
        found = find_time(file, 1_795_608_000, stamps.iso, 0, path.stat().st_size)
    assert 0 < found < path.stat().st_size
    assert len(reads) < 40
    assert sum(reads) < 2_000_000


def test_lines_of_an_empty_range(path: Path) -> None:
    path.write_bytes(b"a\nb\n")
    with closing(open_log(path).file) as file:
        assert lines(file, 2, 2) == b""
        assert lines(file, 1, 2) == b""
        assert lines(file, 2, 4) == b"b\n"
        assert list(backwards(file, 4, 4)) == []


def test_what_cannot_be_opened_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="No such file") as told:
        open_log(tmp_path / "none")
    assert told.value.category == "missing"
    with pytest.raises(Unreachable, match="Is a directory"):
        open_log(tmp_path)
