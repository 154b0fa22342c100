"""Whatever stands in a log: no exception, bounded memory, linear time."""

import csv
import json
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaledoctor.errors import Unavailable
from scaledoctor.logs.sql.chunks import analyze_chunk, blocks
from scaledoctor.logs.sql.entry import Layout
from scaledoctor.logs.sql.partial import Partial
from scaledoctor.logs.sql.recognise import format_of, recognise
from scaledoctor.logs.sql.words import english
from tests.logs.sql_lines import log

STDERR = Layout("stderr", "%m [%p] %q%u@%d/%a ")
LAYOUTS = [STDERR, Layout("csvlog"), Layout("jsonlog")]
HEAD = b"2026-11-24 10:00:00.100 UTC [7] bob@shop/app "
PIECES = st.sampled_from(
    [HEAD, b"LOG:  ", b"duration: 1.500 ms", b"  statement: ", b"  execute x: ", b"  plan:\n\t",
     b"Query Text: ", b"DETAIL:  ", b"STATEMENT:  ", b"parameters: $1 = '", b"'", b'"', b"/*",
     b"*/", b"--", b"$$", b"\\", b"\0", b"\xff\xfe", b"\r\n", b"\n", b"\n\t", b"{", b"}", b",",
     b'","', b'{"timestamp":"2026-11-24 10:00:00.100 UTC","error_severity":"LOG","message":"',
     b"SELECT 1", b"IN (1, 2", b"checkpoint complete: wrote 1", b"process 7 still waiting for ",
     b"automatic vacuum of table \"", b"connection received: ", b"FATAL:  ", b"FEHLER:  "]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES | st.binary(max_size=20), max_size=60).map(b"".join))
def test_no_bytes_raise(data: bytes) -> None:
    for layout in LAYOUTS:
        total = Partial(whole=True)
        total.merge(analyze_chunk(data, layout))
        total.finish()
        assert 0 <= total.unread <= total.lines
    with suppress(Unavailable):
        recognise(data.splitlines())


JSON = b'{"timestamp":"2026-11-24 10:00:00.100 UTC","error_severity":"LOG","message":'


@pytest.mark.parametrize(
    ("line", "unread"),
    [(JSON + b'"\xff\xfe"}', 0), (JSON + b'"\xff\xfe",', 1), (JSON + b'"x","y":' + b"[" * 9999, 1)],
)
def test_bytes_that_are_no_json(line: bytes, unread: int) -> None:
    """No UTF-8, cut, or too deep."""
    assert analyze_chunk(line + b"\n", Layout("jsonlog")).unread == unread


@pytest.mark.parametrize(
    "line",
    [
        HEAD + b"LOG:  " + b"'" * 200_000,
        HEAD + b"LOG:  duration: 1.000 ms  statement: SELECT " + b"(1, 2), " * 40_000,
        HEAD + b"LOG:  duration: 1.000 ms  statement: IN (" + b"1 " * 80_000,
        HEAD + b"LOG:  duration: 1.000 ms  statement: /*" + b"a='" * 60_000 + b"*/",
        HEAD + b"LOG:  duration: 1.000 ms  plan:\n\tQuery Text: " + b"\n\t" * 80_000,
        b"2026-11-24 10:00:00.100 UTC [7] " + b"@" * 200_000,
        HEAD + b"LOG:  process 1 still waiting for X on " + b" after 1" * 30_000,
        HEAD + b"ERROR:  " + b'"' * 100_000 + b"0a" * 50_000,
    ],
    ids=range(8),
)
def test_no_line_takes_more_than_linear_time(line: bytes) -> None:
    began = time.process_time()
    analyze_chunk(line + b"\n", STDERR)
    assert time.process_time() - began < 20  # quadratic would take hours, exponential for ever


def giant(head: bytes, size: int) -> Iterator[bytes]:
    yield HEAD + b"LOG:  duration: 2.000 ms  statement: SELECT 2\n"
    yield head
    for _ in range(size >> 20):
        yield b"x" * (1 << 20)
    yield b"\n" + HEAD + b"LOG:  duration: 3.000 ms  statement: SELECT 3, 3\n"


def test_a_line_of_100_megabytes_is_held_in_part() -> None:
    head = HEAD + b"LOG:  duration: 1.000 ms  statement: SELECT '"
    total = Partial(whole=True)
    for block in blocks(giant(head, 100 << 20), format_of(STDERR).start):
        assert len(block) <= 10 << 20
        total.merge(analyze_chunk(block, STDERR))
    total.finish()
    assert total.calls == 3
    assert {"SELECT ?", "SELECT ?, ?"} <= set(total.statements)


@settings(max_examples=30, deadline=None)
@given(log())
def test_line_ends_of_windows_say_the_same(messages: list[str]) -> None:
    layout = Layout("stderr", "%m [%p] ")
    data = "".join(messages).encode()
    assert analyze_chunk(data.replace(b"\n", b"\r\n"), layout).statements == (
        analyze_chunk(data, layout).statements
    )


def test_a_cut_last_line_costs_itself_alone() -> None:
    line = HEAD + b"LOG:  duration: 1.000 ms  statement: SELECT 1\n"
    found = analyze_chunk(line * 3 + line[:40], STDERR)
    assert (found.entries, found.lines, found.unread) == (3, 4, 1)


def test_the_csv_limit_of_the_process_is_put_back() -> None:
    before = csv.field_size_limit()
    analyze_chunk(b"2026-11-24,\n", Layout("csvlog"))
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dauer: 1.500 ms  Anweisung: SELECT 1", "duration: 1.500 ms  statement: SELECT 1"),
        ("durée : 1.500 ms, instruction : SELECT 1", "duration: 1.500 ms  statement: SELECT 1"),
        ("durée : 1.500 ms  exécute a1 : SELECT 1", "duration: 1.500 ms  execute a1: SELECT 1"),
        ("duración: 1.500 ms  sentencia: SELECT 1", "duration: 1.500 ms  statement: SELECT 1"),
        ("期間: 1.500 ミリ秒  文: SELECT 1", "duration: 1.500 ms  statement: SELECT 1"),
        ("duration: 1.500 ms", "duration: 1.500 ms"),
        ("could not open file", "could not open file"),
    ],
)
def test_other_languages_are_understood(text: str, expected: str) -> None:
    assert english(text.encode()).decode() == expected


def test_translated_severities_are_recognised() -> None:
    lines = [
        "2026-11-24 10:00:00.100 UTC [7] LOG:  Dauer: 1.500 ms  Anweisung: SELECT 1",
        "2026-11-24 10:00:00.100 UTC [7] FEHLER:  Relation »nix« existiert nicht",
        "2026-11-24 10:00:00.100 UTC [7] ANWEISUNG:  SELECT * FROM nix",
    ]
    data = ("\n".join(lines) + "\n").encode()
    found = analyze_chunk(data, recognise(data.splitlines()))
    found.finish()
    assert found.statements["SELECT ?"].micros == 1500
    assert [p.severity for p in found.problems.values()] == ["ERROR"]


@pytest.mark.parametrize(
    "what",
    [
        b"",
        b"\n\n",
        b"\x7fELF\x02\x01\x01" + b"\0\1\2" * 500,
        b"just some words\n" * 50,
        json.dumps({"a": 1}).encode(),
    ],
)
def test_what_is_no_log_is_refused(what: bytes) -> None:
    with pytest.raises(Unavailable):
        recognise(what.splitlines())
