"""Ephemeral children: start a server, wait until it is ready, stop it by its pid."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from scaledoctor.demo.servers.workspace import Account
from scaledoctor.errors import Exit, ScaledoctorError

PORTS = range(20_000, 32_000)  # below 32768, where Linux takes ports for outgoing connections
POLL = 0.01  # seconds between two looks at a starting server
TAIL = 1_500  # characters of a log in an error message

Command = Sequence[str | Path]
"""A program's name or path, and its arguments."""


class ServerMissing(ScaledoctorError):  # noqa: N818  it names a state of the machine
    """A server program is not installed; `install_line` says how to get it."""

    def __init__(self, message: str, install_line: str) -> None:
        super().__init__(message, f"install it with: {install_line}")
        self.install_line = install_line


class ServerFailed(ScaledoctorError):  # noqa: N818  likewise
    """A server or one of its tools did not start or ended early; the message holds its log."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=Exit.INTERNAL)


@dataclass(frozen=True, slots=True)
class Child:
    """A running child process: its pid and the file with its stdout and stderr."""

    pid: int
    log: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    def alive(self) -> bool:
        """True until the process has ended."""
        return self.process.poll() is None


def free_port() -> int:
    """A loopback TCP port that nobody listens on now, drawn from `PORTS`."""
    for port in random.sample(PORTS, 200):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ServerFailed(f"no free port in {PORTS.start}-{PORTS.stop}")


def program(name: str | Path, *, install_line: str) -> Path:
    """The full path of a program on PATH or in /usr/sbin; `ServerMissing` when it is not there."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if found is None:
        raise ServerMissing(f"{name} is not installed", install_line)
    return Path(found)


def accepts(port: int) -> bool:
    """True when something accepts a TCP connection on that loopback port."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False


def tool(
    command: Command,
    *,
    folder: Path,
    account: Account | None,
    timeout: float = 60,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a program to its end as `account` and return its stdout; `ServerFailed` if it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=env or environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    if done.returncode:
        raise ServerFailed(f"{command[0]}: {(done.stdout + done.stderr)[-TAIL:].strip()}")
    return done.stdout


def environment(folder: Path) -> dict[str, str]:
    """Our environment in the C locale, with HOME and TMPDIR in `folder`, without PG* variables."""
    ours = {name: text for name, text in os.environ.items() if not name.startswith("PG")}
    return ours | {"LC_ALL": "C", "LANG": "C", "HOME": str(folder), "TMPDIR": str(folder)}


@contextmanager
def child(
    command: Command,
    *,
    folder: Path,
    ready: Callable[[], bool],
    account: Account | None = None,
    env: Mapping[str, str] | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
    patience: float = 30.0,
) -> Iterator[Child]:
    """Run `command` in `folder` until the block ends; stdout and stderr go to ``folder/log``.

    `command[0]` is a full path. The block starts once `ready()` is true; `ServerFailed` when the
    process ends before that or `patience` seconds pass. On Linux the kernel sends `stop_signal`
    to the process if we die without a word, provided that this was called in the main thread.
    """
    running = _spawn(command, folder, account, env or environment(folder), stop_signal)
    try:
        _await(running, ready, patience, str(command[0]))
        yield running
    finally:
        _stop(running.process, stop_signal)


def _spawn(
    command: Command,
    folder: Path,
    account: Account | None,
    env: Mapping[str, str],
    stop_signal: signal.Signals,
) -> Child:
    log = folder / "log"
    # The kernel counts the thread as the parent: a server must not end with a worker thread.
    in_main = threading.current_thread() is threading.main_thread()
    launch = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py"))]
    about = [os.getpid(), int(stop_signal) if in_main else 0]
    about += [account.uid, account.gid] if account else [-1, -1]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*launch, *(str(number) for number in about), *(str(part) for part in command)],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return Child(process.pid, log, process)


def _await(running: Child, ready: Callable[[], bool], patience: float, name: str) -> None:
    deadline = time.monotonic() + patience
    while not ready():
        if not running.alive():
            raise ServerFailed(f"{name} ended: {tail(running.log)}")
        if time.monotonic() > deadline:
            raise ServerFailed(f"{name} is not ready after {patience:g} s: {tail(running.log)}")
        time.sleep(POLL)


def _stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    process.send_signal(stop_signal)  # does nothing once the process has ended
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # it leads its own session
        process.wait(5)


def tail(log: Path) -> str:
    """The last `TAIL` characters of a log file."""
    return log.read_text(errors="replace")[-TAIL:].strip()
