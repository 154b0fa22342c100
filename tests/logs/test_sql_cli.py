"""``scaledoctor logs`` as people call it."""

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scaledoctor.cli import main
from scaledoctor.errors import ScaledoctorError
from scaledoctor.logs.sql import work
from scaledoctor.logs.sql.inputs import inputs

HEAD = "2026-11-24 10:{minute:02}:{second:02}.{part:03} UTC [7] bob@shop "


def line(number: int, text: str, took: float = 0.3) -> str:
    head = HEAD.format(minute=number // 60000 % 60, second=number // 1000 % 60, part=number % 1000)
    return f"{head}LOG:  duration: {took:.3f} ms  statement: {text}\n"


def said(number: int, message: str, severity: str = "LOG") -> str:
    return line(number, "").partition("LOG:")[0] + f"{severity}:  {message}\n"


def page(start: int) -> str:
    """A list of ten books, and the author of each."""
    rows = [line(start, "SELECT id, author_id FROM book ORDER BY id LIMIT 10")]
    rows += [
        line(start + 1 + n, f"SELECT name FROM author WHERE id = {start + n}") for n in range(10)
    ]
    return "".join(rows)


def pages(count: int, start: int = 0, every: int = 1000) -> bytes:
    return "".join(page(start + n * every) for n in range(count)).encode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "postgresql.log"
    file.write_bytes(pages(30))
    return file


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """The command in this process."""
    for name, value in {"COLUMNS": "80", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}.items():
        monkeypatch.setenv(name, value)

    def run(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["scaledoctor", "logs", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        assert isinstance(end.value.code, int)
        out, err = capfd.readouterr()
        return Done(end.value.code, out, err)

    return run


Document = Callable[..., dict[str, Any]]


@pytest.fixture
def document(run: Run) -> Document:
    """What the command says as JSON."""

    def document(*words: object) -> dict[str, Any]:
        done = run(*words, "-o", "json")
        assert done.code == 0, done.err
        found: dict[str, Any] = json.loads(done.out)
        return found

    return document


def test_the_report_at_80_columns(run: Run, path: Path) -> None:
    done = run(path)
    text = done.out
    assert (done.code, done.err) == (0, "")
    assert max(map(len, text.splitlines())) <= 80
    assert "n+1 (sure): 10 times in each of 30 requests" in text
    assert "SELECT name FROM author WHERE id = ?" in text
    assert "330 statements" in text


@pytest.mark.parametrize("width", [60, 120])
def test_the_report_fits_any_terminal(
    run: Run, path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """With every section that there is."""
    monkeypatch.setenv("COLUMNS", str(width))
    with path.open("a") as file:
        file.write(said(29_600, "connection received: host=10.0.0.1 port=1"))
        file.write(said(29_700, "disconnection: session time: 0:00:00.100 user=a database=b"))
        file.write(
            said(29_800, "process 1 still waiting for ShareLock on transaction 9 after 1000.123 ms")
        )
        file.write(
            said(
                29_900,
                'automatic vacuum of table "warehouse.reporting.order_lines_of_a'
                '_year": index scans: 1\n\tsystem usage: elapsed: 1.00 s',
            )
        )
    done = run(path)
    assert max(map(len, done.out.splitlines())) <= width
    assert "autovacuum  warehouse.reporting" in done.out
    assert ("p50" in done.out) == (width == 120)


def test_the_report_says_what_to_do_instead(run: Run, path: Path) -> None:
    """The statement and the code; how sure it is, also in Markdown; quietly nothing else."""
    done = run(path, "-q")
    assert "instead SELECT" in done.out
    assert "in code Django: " in done.out
    assert "Statements by total time" not in done.out
    assert "**n+1 (sure)**" in run(path, "-o", "markdown").out


def test_what_a_function_raises_is_its_own_words(run: Run, path: Path) -> None:
    """They may hold any value: the place is told instead."""
    path.write_text("".join(
        said(n, "card 4711 of Mrs Miller is declined", "ERROR")
        + said(n, "PL/pgSQL function pay(integer) line 7 at RAISE", "CONTEXT") for n in range(9)
    ))  # fmt: skip
    done = run(path)
    assert "raised by PL/pgSQL function pay(integer) line 7\n" in done.out
    assert "Miller" not in done.out
    assert "Miller" in run(path, "--show-literals").out


def test_n_plus_one_fails_a_test_run(run: Run, path: Path, tmp_path: Path) -> None:
    assert run(path, "--fail-on", "n+1").code == 1
    orm = tmp_path / "test-run.log"
    rows = [f"2026-11-24 10:00:00.{n:03} (0.001) SELECT id FROM book WHERE author_id = {n}; args=()"
            for n in range(1, 9)]  # fmt: skip
    orm.write_text("\n".join(["2026-11-24 10:00:00.000 (0.001) SELECT id FROM author; args=()",
                              *rows, ""]))  # fmt: skip
    assert run(orm, "--fail-on", "n+1").code == 1
    orm.write_text("\n".join(rows))
    assert run(orm, "--fail-on", "n+1").code == 0
    quiet = tmp_path / "quiet.log"
    quiet.write_text("".join(line(n * 900, f"SELECT {n} FROM a") for n in range(20)))
    assert run(quiet, "--fail-on", "n+1").code == 0


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_logs(document: Document, pack: Callable[[bytes], bytes], path: Path) -> None:
    packed = path.with_suffix(".packed")
    packed.write_bytes(pack(path.read_bytes()))
    assert document(packed)["log"]["calls"] == 330


def test_standard_input(path: Path) -> None:
    command = [sys.executable, "-m", "scaledoctor", "logs", "-", "-o", "json"]
    done = subprocess.run(command, input=path.read_bytes(), capture_output=True, check=True)
    assert json.loads(done.stdout)["log"]["calls"] == 330


def test_a_folder_in_the_order_of_time(document: Document, path: Path) -> None:
    """Ten pages in the oldest file, whose name comes last; a file that is no log is left out."""
    path.with_name("z.log.1.gz").write_bytes(gzip.compress(pages(10, start=-0)))
    path.with_name("notes.txt").write_text("nothing\n" * 20)
    path.write_bytes(pages(30, start=600_000))
    found = document(path.parent)
    assert (found["log"]["calls"], found["log"]["seconds"]) == (440, 629.01)
    assert "notes.txt" in str(found["notes"])
    opened = inputs([str(path.parent)], None, print)
    for one in opened:
        one.file.close()
    assert [Path(one.name).name for one in opened] == ["z.log.1.gz", "postgresql.log"]


def test_one_log_in_two_formats_is_read_once(document: Document, path: Path) -> None:
    path.with_suffix(".csv").write_text(
        '2026-11-24 10:00:00.100 UTC,"bob","shop",7,"[local]",6742d1a0.7,1,"SELECT",'
        '2026-11-24 10:00:00 UTC,3/1,0,LOG,00000,"duration: 1.000 ms  statement: SELECT 1",'
        ',,,,,,,,"app"\n'
    )
    found = document(path.parent)
    assert (found["log"]["calls"], found["log"]["format"]) == (1, "csvlog")
    assert "same log" in str(found["notes"])


def test_a_span_of_time(document: Document, path: Path) -> None:
    assert document(path, "--since", "10s")["log"]["calls"] == 111
    assert document(path, "--from", "2026-11-24 10:00:20")["log"]["calls"] == 110
    assert document(path, "--until", "2026-11-24T10:00:10+00:00")["log"]["calls"] == 110
    assert (
        document(path, "--from", "2026-11-24 10:00:05", "--until", "2026-11-24 10:00:06")["log"][
            "calls"
        ]
        == 11
    )


def test_a_date_within_a_statement_is_no_time_of_the_log(document: Document, path: Path) -> None:
    old = "SELECT a\n\tFROM t WHERE d > '1999-01-01 00:00:00'\n\tOR d < '2999-01-01 00:00:00'"
    path.write_text("".join(line(n * 100, f"{old} OR n = {n}") for n in range(6000)))
    assert document(path, "--since", "30s")["log"]["calls"] == 301
    rows = (
        f'{HEAD.format(minute=n // 600, second=n // 10 % 60, part=n % 10 * 100)[:27]},"bob","shop",'
        f'7,"[local]",6742d1a0.7,{n},"SELECT",2026-11-24 10:00:00 UTC,3/1,0,LOG,00000,'
        f'"duration: 1.000 ms  statement: {old}",,,,,,,,,"app"\n'.replace("\t", "")
        for n in range(6000)
    )
    path.write_text("".join(rows))
    assert document(path, "--since", "30s")["log"]["calls"] == 301


def test_parts_of_hosts_are_joined(
    document: Document, run: Run, path: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.log"
    other.write_bytes(pages(20, start=100_000))
    assert run(path, "--partial", tmp_path / "a.json").code == 0
    assert run(other, "--partial", tmp_path / "b.json").code == 0
    both = document("--merge", tmp_path / "a.json", tmp_path / "b.json")
    together = document(path, other)
    assert both["log"] == together["log"]
    assert both["repeated"]["found"] == together["repeated"]["found"]
    assert both == document("--merge", *(tmp_path / f"{n}.json" for n in "bab"))


def test_literals_are_not_in_any_output(run: Run, path: Path, tmp_path: Path) -> None:
    path.write_text("".join(line(n, f"SELECT 'secret{n}' FROM t WHERE id = 4711{n}", 900.0)
                            for n in range(9)))  # fmt: skip
    for form in ("terminal", "markdown", "json"):
        done = run(path, "-o", form, "--partial", tmp_path / "p.json")
        assert "secret" not in done.out
        assert "4711" not in done.out
    assert "secret" not in (tmp_path / "p.json").read_text()
    assert "secret0" in run(path, "--show-literals").out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["missing.log"], 2, "no such file"),
        (["{folder}/foreign.log"], 3, "look like those of a SQL log"),
        (["{folder}/empty.log"], 3, "the log is empty"),
        (["{path}", "--since", "soon"], 2, "not a length of time"),
        (["{path}", "--from", "soon"], 2, "not a time"),
        (["{path}", "--until", "2020-01-01"], 3, "no message of the log is of that time"),
        (["{path}", "-o", "pdf"], 2, "no such format"),
        (["{path}", "--prefix", "%p|%m|"], 3, "is log_line_prefix really"),
        (["{path}", "--merge"], 2, "no partial of ours"),
        (["{path}", "--merge", "--since", "5m"], 2, "cannot be cut to a span of time"),
        (["{folder}/stump.gz"], 3, "cut"),
        (["/proc/self/mem"], 3, "Input/output error"),
        (["{folder}/half.log"], 3, "lines were understood"),
        (["{folder}/cut.gz"], 3, "cut or damaged"),
        (["{folder}/some.lz4"], 3, "lz4"),
    ],
)
def test_bad_input_is_one_line(
    run: Run, arguments: list[str], code: int, words: str, path: Path, tmp_path: Path
) -> None:
    (tmp_path / "foreign.log").write_text("a line of something else\n" * 50)
    (tmp_path / "empty.log").write_bytes(b"")
    (tmp_path / "stump.gz").write_bytes(gzip.compress(pages(3))[:12])
    (tmp_path / "some.lz4").write_bytes(b"\x04\x22\x4d\x18" + bytes(20))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(os.urandom(10) + pages(3000), 1)[:-2000])
    (tmp_path / "half.log").write_bytes(pages(300) + b"something else\n" * 30_000 + pages(300))
    done = run(*(a.format(folder=tmp_path, path=path) for a in arguments))
    assert done.code == code, done.err
    assert words in done.err
    assert len(done.err.splitlines()) == 1
    assert "Traceback" not in done.err
    assert done.out == ""


def test_any_number_of_processes_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of 100 kB, so that a small log has many."""
    path = tmp_path / "postgresql.log"
    path.write_bytes(pages(600, every=50))
    found = inputs([str(path)], None, print)
    whole = work.read(found, workers=1)
    monkeypatch.setattr(work, "PART", 100_000)
    monkeypatch.setattr(work, "ALONE", 0)
    assert work.read(found, workers=1) == whole
    assert work.read(found, workers=2) == whole
    found[0].file.close()


def test_a_glob_that_names_nothing() -> None:
    with pytest.raises(ScaledoctorError, match="no such file"):
        inputs(["/nowhere/*.log"], None, print)


def test_a_usual_prefix_stays_where_a_line_looks_odd(document: Document, path: Path) -> None:
    """Amazon RDS; the odd line is within a statement."""
    head = "2026-11-24 10:00:00 UTC:10.0.0.1(5432):bob@shop:[77]:"
    path.write_text(
        f"{head}LOG:  duration: 0.100 ms  statement: SELECT 1\n" * 9
        + f"{head}LOG:  duration: 0.100 ms  statement: SELECT '\n\tLOG:  x'\n"
    )
    assert "'%t:%r:%u@%d:[%p]:'" in document(path)["log"]["format"]


def test_a_log_without_any_prefix(document: Document, path: Path) -> None:
    """Also when a message has a line within that looks like one."""
    path.write_text(
        "LOG:  duration: 0.100 ms  statement: SELECT 1\n" * 9
        + 'ERROR:  value "4711x" is out of range\nSTATEMENT:  SELECT \'\n'
        + "\tLOG:  duration: 1.000 ms  statement: SELECT 7'\n"
    )
    log = document(path)["log"]
    assert (log["calls"], log["problems"][0]["message"]) == (9, "value ? is out of range")
