"""Children in general: ports, logs of failures, stubborn processes, missing programs."""

import signal
import socket
import sys
from pathlib import Path

import pytest

from scaledoctor.demo.servers import ServerFailed, ServerMissing
from scaledoctor.demo.servers.child import PORTS, accepts, child, free_port, program, tail
from scaledoctor.demo.servers.workspace import unprivileged, workspace

STUBBORN = (
    "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(99)"
)


def test_a_free_port_can_be_bound() -> None:
    """The port is in the range and nobody listens on it."""
    port = free_port()
    assert port in PORTS
    assert not accepts(port)
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))
        server.listen()
        assert accepts(port)


def test_a_workspace_goes_with_its_block() -> None:
    """The folder is private, and removed with all that is in it."""
    with workspace("test", unprivileged("postgres")) as folder:
        (folder / "file").write_text("x")
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


def test_a_process_that_ends_early_shows_its_last_words(tmp_path: Path) -> None:
    """The error holds what it wrote to stderr."""
    command = (sys.executable, "-c", "raise SystemExit('no bread today')")
    with (
        pytest.raises(ServerFailed, match="no bread today"),
        child(command, folder=tmp_path, ready=lambda: False),
    ):
        pytest.fail("it must not start")


def test_a_program_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    """A path that does not exist ends in one line."""
    with (
        pytest.raises(ServerFailed, match="cannot start /no/such/program"),
        child(["/no/such/program"], folder=tmp_path, ready=lambda: False),
    ):
        pytest.fail("it must not start")


def test_a_process_that_is_never_ready_is_stopped(tmp_path: Path) -> None:
    """Patience ends with an error, and the process does not stay."""
    command = (sys.executable, "-c", "import time; time.sleep(60)")
    with (
        pytest.raises(ServerFailed, match=r"not ready after 0\.2 s"),
        child(command, folder=tmp_path, ready=lambda: False, patience=0.2),
    ):
        pytest.fail("it is not ready")


@pytest.mark.slow
def test_a_process_that_ignores_its_signal_is_killed(tmp_path: Path) -> None:
    """After ten seconds of asking comes SIGKILL."""
    with child(
        (sys.executable, "-c", STUBBORN),
        folder=tmp_path,
        ready=lambda: tail(tmp_path / "log") == "1",
        stop_signal=signal.SIGTERM,
    ) as stubborn:
        assert stubborn.alive()
    assert stubborn.process.returncode == -signal.SIGKILL


def test_a_missing_program_comes_with_its_install_line() -> None:
    """The error is one line that says what to do."""
    with pytest.raises(ServerMissing) as raised:
        program("no-such-server", install_line="apt-get install bread")
    assert raised.value.install_line == "apt-get install bread"
    assert str(raised.value).count("\n") == 0
