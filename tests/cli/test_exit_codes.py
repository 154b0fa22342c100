"""Exit codes are API: the table in the README, on a real server."""

import re
from pathlib import Path

import pytest

from scaledoctor.demo.servers.child import free_port
from scaledoctor.errors import Exit
from tests.cli.conftest import Cli

pytestmark = pytest.mark.live

MEDIUM = """
from collections.abc import Iterator
from scaledoctor.sdk import Finding, Severity, Step, check
from scaledoctor.sources.postgres import Server

@check("acme.always", step=Step.TIGHTEN)
def always(server: Server, /) -> Iterator[Finding]:
    'Fires on every database.'
    yield Finding("acme", "acme was here", Severity.MEDIUM, impact=0.5)
"""


def nobody() -> str:
    """A DSN with a password of a server that does not run."""
    return f"postgresql://shop:s3cret@127.0.0.1:{free_port()}/shop"


def test_the_readme_has_them_all() -> None:
    """In its table, in order."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (\d+) \|", readme, re.M) == [str(code.value) for code in Exit]


def test_a_scan_is_0(cli: Cli, dsn: str) -> None:
    """Whatever it says about this host."""
    done = cli("scan", "--dsn", dsn, "--window", 0)
    assert (done.code, done.err) == (0, "")
    assert done.out


def test_a_healthy_system_is_0(cli: Cli, snapshot: Path) -> None:
    """Even where every finding would count."""
    done = cli("scan", "--from", snapshot, "--fail-on", "low")
    assert (done.code, done.err) == (0, "")
    assert "HEALTHY" in done.out


@pytest.mark.parametrize(
    ("limit", "code"), [("none", 0), ("low", 1), ("medium", 1), ("high", 0), ("critical", 0)]
)
def test_a_finding_at_the_limit_is_1(
    cli: Cli, snapshot: Path, tmp_path: Path, limit: str, code: int
) -> None:
    """The report is the same; only the exit code differs."""
    (tmp_path / "always.py").write_text(MEDIUM)
    done = cli("scan", "--from", snapshot, "--checks-dir", tmp_path, "--fail-on", limit)
    assert done.code == code
    assert "acme was here" in done.out


def test_nothing_reached_is_3(cli: Cli) -> None:
    """The report says why, and never the password; so does what was collected."""
    dsn = nobody()
    done = cli("scan", "--dsn", dsn, "--window", 0)
    assert done.code == 3
    assert "Connection refused" in done.out
    assert cli("collect", "--dsn", dsn, "--window", 0, "-o", "s.json").code == 3
    again = cli("scan", "--from", "s.json")
    assert again.code == 3
    for text in (done.out, again.out, Path("s.json").read_text()):
        assert "s3cret" not in text


def test_some_reached_is_0_and_4_when_strict(cli: Cli, dsn: str) -> None:
    """One of two databases is down."""
    where = ("--dsn", dsn, "--dsn", nobody(), "--window", 0)
    assert cli("scan", *where).code == 0
    assert cli("scan", *where, "--strict").code == 4


def test_something_unseen_is_4_when_strict(cli: Cli, dsn: str) -> None:
    """One reading gives no rates, and says so."""
    done = cli("scan", "--dsn", dsn, "--window", 0, "--strict")
    assert done.code == 4
    assert "skipped: " in done.out


def test_a_finding_counts_more_than_what_was_not_seen(
    cli: Cli, snapshot: Path, tmp_path: Path
) -> None:
    """1, not 4: whoever asks for both wants to hear of the finding first."""
    (tmp_path / "always.py").write_text(MEDIUM)
    where = ("--from", snapshot, "--checks-dir", tmp_path)
    assert cli("scan", *where, "--strict", "--fail-on", "medium").code == 1


def test_a_defect_of_ours_is_70(cli: Cli, snapshot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line; the traceback only for whoever asks for it."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("scaledoctor.diagnosis.diagnose", broken)
    done = cli("scan", "--from", snapshot)
    assert (done.code, done.out) == (70, "")
    assert done.err.startswith("scaledoctor: internal error: ZeroDivisionError: oops (")
    assert len(done.err.splitlines()) == 1
    monkeypatch.setenv("SCALEDOCTOR_TRACEBACK", "1")
    assert "Traceback" in cli("scan", "--from", snapshot).err


def test_nagios_has_exit_codes_of_its_own(cli: Cli, snapshot: Path, tmp_path: Path) -> None:
    """1 is WARNING there; a report in a file changes nothing."""
    (tmp_path / "always.py").write_text(MEDIUM)
    common = ("scan", "--from", snapshot, "--checks-dir", tmp_path)
    done = cli(*common, "-o", "nagios")
    assert (done.code, done.out.partition(" - ")[0]) == (1, "WARNING")
    assert cli(*common, "-o", f"nagios:{tmp_path / 'line'}", "-o", "json").code == 0
