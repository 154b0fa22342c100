"""The command line inside this process, and a real server for it."""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from scaledoctor.cli import main
from scaledoctor.demo.servers import PostgresServer


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str


Cli = Callable[..., Result]
"""Takes the words of a command line and gives its result."""

# A shell that starts us in the background ignores SIGINT, and our children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

NAMED = ("DATABASE_URL", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM", "LANG", "LC_ALL", "LC_CTYPE")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the environment names a target or says how to draw; we work in a new folder."""
    for name in [n for n in os.environ if n.startswith("PG") or n in NAMED]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    """Run a command to its exit code."""

    def run(*words: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["scaledoctor", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        assert isinstance(end.value.code, int)
        out, err = capfd.readouterr()
        return Result(end.value.code, out, err)

    return run


@pytest.fixture
def dsn(pg18: PostgresServer) -> str:
    """A healthy database without pg_stat_statements."""
    return pg18.dsn()


@pytest.fixture
def snapshot(cli: Cli, dsn: str, tmp_path: Path) -> Path:
    """What ``collect`` writes, without this host: its state is nobody's promise."""
    path = tmp_path / "s.json"
    assert cli("collect", "--dsn", dsn, "--window", 0, "-o", path).code == 0
    document = json.loads(path.read_text(encoding="utf-8"))
    document["records"] = [r for r in document["records"] if r["kind"] != "host"]
    path.write_text(json.dumps(document), encoding="utf-8")
    return path
