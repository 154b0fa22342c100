"""A private temp folder for one server, and the account the server runs as."""

import fcntl
import os
import pwd
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

PREFIX = "scaledoctor-run-"
ENDING = (signal.SIGINT, signal.SIGTERM)
"""Signals that wait while a folder is made or removed: none is left between two lines."""

STALE_AFTER = 60.0  # seconds; a folder needs far less than that between mkdtemp and its lock


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived while servers were running: unwind and stop them."""


@dataclass(frozen=True, slots=True)
class Account:
    """An existing unprivileged account that a server runs as when we are root."""

    name: str
    uid: int
    gid: int


def unprivileged(*preferred: str) -> Account | None:
    """The first of `preferred`, then ``nobody``, that exists; None when we are not root.

    PostgreSQL and PgBouncer refuse to run as root, and initdb wants an account in passwd.
    """
    if os.geteuid() != 0:
        return None
    for name in (*preferred, "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            if entry.pw_uid != 0:
                return Account(name, entry.pw_uid, entry.pw_gid)
    raise RuntimeError("running as root, and there is no unprivileged account to run a server as")


def give(path: Path, account: Account | None) -> None:
    """Make `account` the owner of `path` and of all below it; no account: leave as it is."""
    if account is None:
        return
    os.chown(path, account.uid, account.gid)
    for folder, names, files in os.walk(path):
        for name in (*names, *files):
            os.chown(os.path.join(folder, name), account.uid, account.gid, follow_symlinks=False)


@contextmanager
def workspace(kind: str, account: Account | None = None) -> Iterator[Path]:
    """A new folder (mode 0700) owned by `account`, removed at the end whatever happens.

    An advisory lock on the folder tells later runs that its owner lives; what a killed run left
    behind is swept then. SIGTERM unwinds as `Terminated` while the outermost folder exists.
    """
    _sweep()
    with _terminated_on_sigterm():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{kind}-"))
            lock = os.open(folder, os.O_RDONLY)
            try:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)  # what came meanwhile, comes now
                fcntl.flock(lock, fcntl.LOCK_EX)
                give(folder, account)
                yield folder
            finally:
                signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # another account's, or removed meanwhile
            if time.time() - folder.stat().st_mtime < STALE_AFTER:
                continue
            lock = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


@contextmanager
def _terminated_on_sigterm() -> Iterator[None]:
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def unwind(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not cut the cleanup
        raise Terminated

    signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
