"""The worked example of docs/ci.md, run as it stands there against a real server."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from scaledoctor.demo.servers import PostgresServer
from tests.cli.test_gate import SHOP, shop

__all__ = ["shop"]

pytestmark = pytest.mark.live

DOCS = Path(__file__).parents[2] / "docs" / "ci.md"
LOAD = """#!{python}
import os, psycopg, time
with psycopg.connect(os.environ["DSN"], autocommit=True, application_name="shop") as db:
    for number in range(100_000):
        db.execute("SELECT id, note FROM parts WHERE bin = %s", (number % 5000,)).fetchall()
        time.sleep(0.004)
"""


def run(folder: Path, server: PostgresServer) -> subprocess.CompletedProcess[str]:
    """The first shell block of the page, in a folder with ./load."""
    script = re.findall(r"```sh\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)[0]
    (folder / "load").write_text(LOAD.format(python=sys.executable))
    (folder / "load").chmod(0o755)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-eu", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path, "DSN": server.dsn(), "SECONDS_TO_LOOK": "2"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_example_runs_passes_and_fails(shop: PostgresServer, tmp_path: Path) -> None:
    """First it writes a baseline and passes; without the index it exits with 5."""
    assert "CREATE INDEX parts_bin" in SHOP
    first = run(tmp_path, shop)
    assert first.returncode in (0, 1), first.stderr  # this machine may itself be busy
    assert (tmp_path / "scaledoctor-baseline.json").exists()
    for name in ("summary.md", "scaledoctor.xml", "scaledoctor.sarif"):
        assert (tmp_path / name).stat().st_size > 100
    with psycopg.connect(shop.dsn(), autocommit=True) as db:
        db.execute("DROP INDEX parts_bin")
    assert run(tmp_path, shop).returncode == 5
