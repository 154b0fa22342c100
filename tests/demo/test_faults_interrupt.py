"""Interrupting the demo leaves nothing behind."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from scaledoctor.demo.faults import FAULTS
from tests.servers import missing, postgres_binaries

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

MOMENTS = [
    ("idle-in-transaction", "starting", signal.SIGINT),
    ("idle-in-transaction", "started in", signal.SIGINT),
    ("idle-in-transaction", "measuring the healthy", signal.SIGINT),
    ("idle-in-transaction", "now a nightly job", signal.SIGTERM),
    ("pool-too-small", "PgBouncer pools", signal.SIGINT),
    ("backend-down", "scanning", signal.SIGINT),  # with one instance killed and one stopped
    pytest.param("idle-in-transaction", "scanning", signal.SIGTERM, marks=pytest.mark.slow),
]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for temporary files that the server's own account can enter."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def users(place: Path) -> list[int]:
    """The processes that work inside a folder."""
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if Path(os.readlink(process / "cwd")).is_relative_to(place):
                found.append(int(process.name))
    return found


@pytest.mark.parametrize(("fault", "moment", "number"), MOMENTS)
def test_an_interrupted_demo_leaves_no_process_and_no_folder(
    fault: str, moment: str, number: signal.Signals, place: Path
) -> None:
    """At each stage of its work the demo stops what it started, and prints no traceback."""
    postgres_binaries(18)
    if reason := FAULTS[fault].topology.missing():
        missing(reason)
    command = [sys.executable, "-u", "-m", "scaledoctor", "demo", "--fault", fault]
    env = {**os.environ, "TMPDIR": str(place)}
    with subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stderr is not None
        said = ""
        while moment not in said:
            line = demo.stderr.readline()
            assert line, f"the demo ended before it said {moment!r}: {said}"
            said += line
        demo.send_signal(number)
        said += demo.stderr.read()
        code = demo.wait(30)
    assert users(place) == []
    assert list(place.glob("scaledoctor-run-*")) == []
    assert code == 130
    assert "Traceback" not in said
