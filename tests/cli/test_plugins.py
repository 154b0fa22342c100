"""A folder of check files: what works runs, what does not is told and survived."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

HEAD = """
from collections.abc import Iterator
from scaledoctor.sdk import Finding, Severity, Step, check
from scaledoctor.sources.postgres import Server
"""
GOOD = """
@check("acme.version", step=Step.TIGHTEN)
def version(server: Server, /, *, at_least: int = 1) -> Iterator[Finding]:
    '''Acme wants to know the version.

    Why: it does.
    '''
    yield Finding("acme", f"version {server.version}", Severity.LOW)
"""
CRASHES = """
@check("acme.crash", step=Step.TIGHTEN)
def crash(server: Server, /) -> Iterator[Finding]:
    '''This one has a defect.'''
    raise ValueError("boom")
"""
BROKEN = {
    "exits.py": ("import sys; sys.exit(9)", "ImportError: it is a program, not a plug-in"),
    "raises.py": ("raise RuntimeError('no')", "RuntimeError: no"),
    "syntax.py": ("def broken(:", "SyntaxError: invalid syntax (syntax.py, line 1)"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One check that works, one that crashes, and files that are no plug-ins at all."""
    path = tmp_path / "checks"
    path.mkdir()
    (path / "good.py").write_text(HEAD + GOOD + CRASHES)
    for name, (text, _) in BROKEN.items():
        (path / name).write_text(text)
    return path


@pytest.mark.live
def test_a_scan_runs_what_it_can_and_reports_the_rest(
    cli: Cli, snapshot: Path, folder: Path
) -> None:
    """The finding is there; so are the broken files and the crash, each with its traceback."""
    done = cli("scan", "--from", snapshot, "--checks-dir", folder, "-o", "json")
    assert done.code == 0
    report = json.loads(done.out)
    assert "acme.version" in [f["check"] for f in report["findings"]]
    errored = {e["what"]: e for e in report["errored"]}
    assert errored["acme.crash"]["error"] == "ValueError: boom"
    for name, (_, error) in BROKEN.items():
        assert errored[f"check file {folder / name}"]["error"].startswith(error)
        assert "Traceback" in errored[f"check file {folder / name}"]["traceback"]
    assert "ValueError: boom" in cli("scan", "--from", snapshot, "--checks-dir", folder).out


def test_the_catalogue_shows_it_and_warns_of_the_rest(cli: Cli, folder: Path) -> None:
    """``checks list`` and ``checks show``, with its threshold and what it reads."""
    listed = cli("checks", "--checks-dir", folder)
    assert listed.code == 0
    assert "acme.version" in listed.out
    assert len(listed.err.splitlines()) == len(BROKEN)
    for name, (_, error) in BROKEN.items():
        assert f"warning: check file {folder / name}: {error}" in listed.err
    shown = cli("checks", "--checks-dir", folder, "show", "acme.version")
    assert shown.code == 0
    for text in ("Acme wants to know the version.", "at_least = 1", "Server: "):
        assert text in shown.out


@pytest.mark.live
def test_collect_warns_of_them_too(cli: Cli, dsn: str, folder: Path) -> None:
    """What a broken plug-in would have read is missing in the snapshot."""
    done = cli("collect", "--dsn", dsn, "--window", 0, "-o", "s.json", "--checks-dir", folder)
    assert done.code == 0
    assert done.err.count("warning: check file") == len(BROKEN)


def test_the_built_in_catalogue_is_listed_by_step(cli: Cli) -> None:
    """One line each; ``list`` is the default."""
    done = cli("checks")
    assert (done.code, done.err) == (0, "")
    steps = [int(line.split()[0]) for line in done.out.splitlines()]
    assert steps == sorted(steps)
    assert set(steps) >= {1, 2, 3, 5}
    assert cli("checks", "list").out == done.out


def test_a_resource_is_shown_as_a_check_is(cli: Cli) -> None:
    """With the cost of what it reads."""
    done = cli("checks", "show", "postgres.locks")
    assert (done.code, done.err) == (0, "")
    assert "warn = 0.1" in done.out
    assert "Activity: " in done.out
