"""Where the report goes and how it is drawn: stdout for the report, stderr for the rest."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from scaledoctor.cli._options import Color
from scaledoctor.cli._output import style
from tests.cli.conftest import Cli

SCHEMA = Path(__file__).parents[2] / "docs" / "report.schema.json"

pytestmark = pytest.mark.live


def process(*words: object, streams: str = "", **environment: str) -> tuple[int, bytes, bytes]:
    """Run a command as a process of its own, its streams led elsewhere by the shell's signs."""
    command = [sys.executable, "-m", "scaledoctor", *map(str, words)]
    if streams:
        command = ["/bin/sh", "-c", f'"$@" {streams}', "sh", *command]
    env = {k: v for k, v in os.environ.items() if k != "LANG"} | environment
    done = subprocess.run(command, capture_output=True, env=env, check=False)
    return done.returncode, done.stdout, done.stderr


def test_the_json_report_is_valid_and_complete(cli: Cli, dsn: str) -> None:
    """Alone on stdout, by the published schema."""
    done = cli("scan", "--dsn", dsn, "--window", 1, "-o", "json")
    assert (done.code, done.err) == (0, "")
    report = json.loads(done.out)
    jsonschema.validate(report, json.loads(SCHEMA.read_text(encoding="utf-8")))
    parts = {"verdict", "chain", "findings", "headroom", "skipped", "errored", "run"}
    assert parts <= set(report)
    assert report["run"]["window"] == 1.0
    assert report["run"]["seconds"] >= 1.0
    (database,) = (t for t in report["targets"] if t["kind"] == "postgres")
    assert all(cost["seconds"] >= 0 for cost in database["costs"].values())
    assert database["queries"] == sum(c["calls"] for c in database["costs"].values())


def test_one_scan_gives_several_reports(cli: Cli, snapshot: Path) -> None:
    """Files are named on stderr; the one without a path has stdout for itself."""
    done = cli("scan", "--from", snapshot, "-o", "json:r.json", "-o", "terminal", "-o",
               "markdown:r.md")  # fmt: skip
    assert (done.code, done.err) == (0, "wrote r.json\nwrote r.md\n")
    assert done.out == cli("scan", "--from", snapshot).out
    assert json.loads(Path("r.json").read_text())["tool"] == "scaledoctor"
    assert Path("r.md").read_text().startswith("#")


def test_a_report_that_cannot_be_written_does_not_cost_the_others(cli: Cli, snapshot: Path) -> None:
    """The disk is full: said at the end, after the report that could be printed."""
    done = cli("scan", "--from", snapshot, "-o", "json:/dev/full", "-o", "terminal")
    assert done.code == 2
    assert done.err == "scaledoctor: cannot write /dev/full: No space left on device\n"
    assert "HEALTHY" in done.out


def test_verbosity_adds_and_quiet_takes_away(cli: Cli, snapshot: Path) -> None:
    """-q is the shortest, -vv the longest."""
    sizes = [len(cli("scan", "--from", snapshot, *words).out.splitlines())
             for words in (("-q",), (), ("-v",), ("-vv",))]  # fmt: skip
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 4


def test_colour_is_for_terminals_or_on_demand(cli: Cli, snapshot: Path) -> None:
    """A pipe gets none."""
    assert "\x1b" not in cli("scan", "--from", snapshot).out
    assert "\x1b[" in cli("scan", "--from", snapshot, "--color", "always").out


@pytest.mark.parametrize(
    ("environment", "colour"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": ""}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": ""}, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, False),
    ],
)
def test_the_environment_decides_about_colour(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], colour: bool
) -> None:
    """NO_COLOR wins over FORCE_COLOR; the option wins over both."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert style(Color.AUTO, 0).color is colour
    assert style(Color.ALWAYS, 0).color is True
    assert style(Color.NEVER, 0).color is False


@pytest.mark.parametrize(
    ("columns", "width"),
    [("40", 40), ("7", 40), ("0", 100), ("x", 100), ("120", 120), ("999", 200)],
)
def test_columns_sets_the_width(monkeypatch: pytest.MonkeyPatch, columns: str, width: int) -> None:
    """Within what the reports are made for."""
    monkeypatch.setenv("COLUMNS", columns)
    assert style(Color.AUTO, 0).width == width


@pytest.mark.parametrize(
    "environment",
    [{"LANG": "C"}, {"LC_ALL": "C"}, {"LC_ALL": "POSIX"}, {"PYTHONIOENCODING": "latin-1"}],
    ids=str,
)
def test_the_c_locale_gets_ascii(snapshot: Path, environment: dict[str, str]) -> None:
    """In the terminal report."""
    code, out, err = process("scan", "--from", snapshot, **environment)
    assert (code, err) == (0, b"")
    assert out.isascii()
    assert b"HEALTHY" in out


@pytest.mark.parametrize("environment", [{}, {"LANG": "C", "LC_ALL": "C.UTF-8"}], ids=str)
def test_others_get_unicode(snapshot: Path, environment: dict[str, str]) -> None:
    """A container often has no locale at all, and shows UTF-8 all the same."""
    _, out, _ = process("scan", "--from", snapshot, **environment)
    assert not out.isascii()


def test_documents_are_utf_8_everywhere(snapshot: Path) -> None:
    """A name that stdout's encoding does not have is no reason to fail."""
    text = snapshot.read_text(encoding="utf-8")
    snapshot.write_text(text.replace("postgres:postgres", "postgres:bücher→"), encoding="utf-8")
    for form in ("json", "markdown"):
        code, out, err = process(
            "scan", "--from", snapshot, "-o", form, PYTHONIOENCODING="ascii:strict"
        )
        assert (code, err) == (0, b"")
        assert "bücher→" in out.decode()


def test_a_reader_that_stops_reading_changes_nothing(snapshot: Path) -> None:
    """``scan | head -1``: no word about the pipe, and the exit code is still the scan's."""
    code = '; echo "code $?" >&2; } | true'
    for words, expected in (
        (("scan", "--from", snapshot), b"code 0\n"),
        (("scan", "--from", snapshot, "--strict"), b"code 4\n"),
        (("scan", "--from", snapshot, "-o", "json"), b"code 0\n"),
        (("checks",), b"code 0\n"),
    ):
        command = [sys.executable, "-m", "scaledoctor", *map(str, words)]
        done = subprocess.run(
            ["/bin/sh", "-c", f'{{ "$@"{code}', "sh", *command], capture_output=True, check=False
        )
        assert (done.stdout, done.stderr) == (b"", expected)


def test_a_full_disk_behind_stdout_is_no_defect_of_ours(snapshot: Path) -> None:
    """One line and 2, for every command."""
    for words in (("scan", "--from", snapshot), ("checks",)):
        code, _, err = process(*words, streams="> /dev/full")
        assert code == 2
        assert err.startswith(b"scaledoctor: cannot write")
        assert err.endswith(b"No space left on device\n")


def test_closed_streams_are_as_good_as_the_null_device(snapshot: Path) -> None:
    """As a job of some service manager may find them."""
    assert process("scan", "--from", snapshot, streams=">&-") == (0, b"", b"")
    code, out, err = process("scan", "--from", snapshot, streams="2>&-")
    assert (code, err) == (0, b"")
    assert b"HEALTHY" in out
