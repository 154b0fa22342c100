"""``scan --watch``: again and again, with what changed; Ctrl-C ends it."""

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from scaledoctor.cli._watch import fitting, since, told
from scaledoctor.model import Severity, State
from scaledoctor.report import Change, Report, Turn
from tests import samples
from tests.cli.conftest import Cli

SCAN = [sys.executable, "-m", "scaledoctor", "scan", "--watch", "1", "--window", "0"]
HEAD = re.compile(r"^\d\d:\d\d:\d\d UTC(?:: the first scan|, since \d\d:\d\d:\d\d: )", re.M)


def test_two_scans_of_a_steady_system_are_alike() -> None:
    """Nothing changed, and that is said."""
    report = samples.bottleneck()
    later = replace(report, started=report.started + timedelta(seconds=12))
    assert since(report, later) == []
    assert list(told(report, later)) == ["14:02:23 UTC, since 14:02:11: nothing changed"]
    assert list(told(None, report)) == ["14:02:11 UTC: the first scan"]


def test_a_bottleneck_that_comes_is_told_first() -> None:
    """The verdict with its sentence, each finding by name, how full resources got."""
    found = since(samples.healthy(), samples.bottleneck())
    assert (found[0].what, found[0].before) == ("verdict", "healthy")
    assert found[0].after.startswith("bottleneck: 17 of 19 sessions wait")
    assert [c.turn for c in found[1:9]] == [Turn.NEW] * 8
    assert Change(
        "postgres.connections on postgres:shop", Turn.WORSE, "38% ok", "95% saturated"
    ) in found  # fmt: skip


def test_a_bottleneck_that_goes_is_told_too() -> None:
    """Its findings are gone, its resources have room."""
    found = since(samples.bottleneck(), samples.healthy())
    assert found[0].after.startswith("healthy: no bottleneck")
    turns = [c.turn for c in found[1:]]
    assert set(turns) == {Turn.BETTER, Turn.GONE}
    holder = samples.holder()
    assert Change(f"{holder.check}: {holder.subject}", Turn.GONE, "critical", "not there") in found


@pytest.mark.parametrize(
    ("now", "turn"), [(Severity.CRITICAL, Turn.WORSE), (Severity.LOW, Turn.BETTER)]
)
def test_a_finding_that_changes_its_severity(now: Severity, turn: Turn) -> None:
    """It is the same by its fingerprint."""
    report = samples.bottleneck()
    risk = replace(report.risks[0], severity=now)
    (change,) = since(report, replace(report, risks=(risk,)))
    assert (change.turn, change.before, change.after) == (turn, "medium", now.name.lower())


def used(share: float, state: State = State.OK) -> Report:
    """A report with one resource."""
    row = samples.row("a.pool", 100 * share, 100.0, "servers", state)
    return replace(samples.healthy(), headroom=(row,))


@pytest.mark.parametrize(
    ("before", "after", "turn"),
    [
        (used(0.50), used(0.54), None),
        (used(0.50), used(0.56), Turn.WORSE),
        (used(0.56), used(0.50), Turn.BETTER),
        (used(0.74), used(0.76, State.BUSY), Turn.WORSE),
        (used(0.50), replace(used(0.5), headroom=()), None),
    ],
)
def test_a_use_has_changed_from_a_twentieth_of_its_limit(
    before: Report, after: Report, turn: Turn | None
) -> None:
    """Or in its state; what is not in both scans has no difference."""
    assert [c.turn for c in since(before, after)] == ([turn] if turn else [])


def test_hostile_names_stay_inert() -> None:
    """Nothing of a name reaches the terminal as a control character."""
    lines = list(told(samples.healthy(), samples.hostile()))
    assert all(line.isprintable() and len(line) <= 200 for line in lines)


@pytest.mark.parametrize(
    ("lines", "rows", "kept"),
    [
        (["a"] * 5, 3, 3),
        (["a" * 25, "b", "c"], 3, 1),
        (["\x1b[1m" + "a" * 10, "b"], 2, 2),
        ([], 3, 0),
    ],
)
def test_the_screen_holds_the_top(lines: list[str], rows: int, kept: int) -> None:
    """A line wider than ten columns takes several rows; colours take none."""
    assert len(list(fitting(lines, 10, rows))) == kept


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "s.json"), "--watch looks again and again: --from reads one saved snapshot"),
        (("-o", "json:r.json"), "--watch shows reports on stdout: all of these go to files (add"),
    ],
)
def test_nothing_to_watch_is_said_in_one_line(cli: Cli, words: tuple[str, ...], said: str) -> None:
    """Before anything is looked at; no file is written."""
    result = cli("scan", "--watch", "5", *words)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"scaledoctor: {said}")
    assert result.err.count("\n") == 1
    assert not Path("r.json").exists()


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon", "1e9"])
def test_only_a_number_of_seconds_is_taken(cli: Cli, seconds: str) -> None:
    """At least one: a scan is no load test."""
    assert cli("scan", "--watch", seconds).code == 2


def ended(process: subprocess.Popen[bytes], read: Callable[[], bytes], until: int) -> bytes:
    """What was read until so many scans had begun to be shown; then Ctrl-C."""
    out = b""
    while len(HEAD.findall(out.decode(errors="replace").replace("\x1b[H\x1b[2J", "\n"))) < until:
        more = read()
        assert more, out
        out += more
    process.send_signal(signal.SIGINT)
    return out


def test_a_pipe_gets_report_after_report() -> None:
    """No escape code in it; Ctrl-C ends with the code of an interruption and one line."""
    with subprocess.Popen(SCAN, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        out = ended(process, process.stdout.readline, 2)
        rest, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"scaledoctor: interrupted\n")
    assert b"\x1b" not in out + rest
    assert out.count(b"the first scan") == 1


@pytest.mark.slow
def test_a_terminal_is_drawn_in_place() -> None:
    """Each scan begins on an empty screen and fits on it."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, True)
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "20", "CI": "1"}
    with subprocess.Popen(SCAN, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        out = ended(process, lambda: os.read(ours, 65536), 2)
        process.wait(timeout=60)
    os.close(ours)
    screens = out.decode().split("\x1b[H\x1b[2J")
    assert len(screens) == 3
    assert "more lines: a higher window, or -q; again in 1 s; Ctrl-C ends" in screens[1]
    assert screens[1].count("\n") <= 20
    assert process.returncode == 130


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_ends_it() -> None:
    """``| head -1`` leaves nothing behind that scans for ever."""
    with subprocess.Popen(SCAN, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
