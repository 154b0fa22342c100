"""Recorded here, judged elsewhere: the two halves of a scan."""

import json
from pathlib import Path

import pytest

from scaledoctor.collect import collect
from scaledoctor.demo.servers import PostgresServer
from scaledoctor.diagnosis import diagnose
from scaledoctor.redact import Redactor
from scaledoctor.registry import load
from scaledoctor.sdk import Style
from scaledoctor.snapshot import dumps
from scaledoctor.targets import targets
from tests.cli.conftest import Cli

pytestmark = pytest.mark.live


def test_a_saved_snapshot_gives_the_same_report(cli: Cli, dsn: str, tmp_path: Path) -> None:
    """To the last digit, with a window as without one; no order is lost that means anything."""
    registry = load()
    path = tmp_path / "s.json"
    for window in (0.0, 1.0):
        taken = collect(targets({"dsn": [dsn]}, {}), registry, Redactor(), window)
        path.write_bytes(dumps(taken))
        done = cli("scan", "--from", path, "-o", "json")
        assert (done.code, done.err) == (0, "")
        direct = registry.renderers["json"](diagnose(taken, registry), Style())
        assert json.loads(done.out) == json.loads(direct)


def test_collect_says_what_it_wrote(cli: Cli, dsn: str) -> None:
    """On stderr; stdout is empty."""
    done = cli("collect", "--dsn", dsn, "--window", 0, "-o", "s.json", "-q")
    assert (done.code, done.out) == (0, "")
    assert done.err == "wrote s.json: 2 targets, 0 values masked\n"


def test_a_dash_is_stdout(cli: Cli, dsn: str, tmp_path: Path) -> None:
    """``ssh jump-host scaledoctor collect -o - > s.json``."""
    done = cli("collect", "--dsn", dsn, "--window", 0, "-o", "-")
    assert (done.code, done.err) == (0, "wrote stdout: 2 targets, 0 values masked\n")
    assert not Path("-").exists()
    path = tmp_path / "s.json"
    path.write_text(done.out, encoding="utf-8")
    assert cli("scan", "--from", path).code == 0


def test_no_secret_is_stored(cli: Cli, pg18: PostgresServer) -> None:
    """Neither of the DSN nor of what sessions are running."""
    import psycopg

    with psycopg.connect(pg18.dsn(application_name="jobs")) as jobs:
        jobs.execute("SELECT 'token=s3cr3t', 'jane@example.com'")  # the last of its transaction
        secret = pg18.dsn().replace("postgres@", "postgres:s3cr3t@")
        done = cli("collect", "--dsn", secret, "--window", 0, "-o", "s.json")
    assert done.code == 0
    text = Path("s.json").read_text(encoding="utf-8")
    assert "jobs" in text
    for word in ("s3cr3t", "jane"):
        assert word not in text
    assert sum(json.loads(text)["redactions"].values()) > 0


def test_a_full_disk_is_named(cli: Cli, dsn: str) -> None:
    """With the file, on one line."""
    done = cli("collect", "--dsn", dsn, "--window", 0, "-o", "/dev/full")
    assert (done.code, done.out) == (2, "")
    assert done.err == "scaledoctor: cannot write /dev/full: No space left on device\n"
