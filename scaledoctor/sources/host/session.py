"""The host as a target: the machine that we run on, never another one."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scaledoctor.sdk import Redactor, Target, Unavailable, Unreachable, source
from scaledoctor.targets import HERE

PROC = Path("/proc")
_CHUNK = 1 << 16
MOST = 5000
"""Processes looked at: 0.1 s for the two files of each."""


@dataclass
class HostSession:
    """Reads small files, and carries a probe's first reading to its second one.

    ``cpu`` is in seconds by pid, ``threads`` by thread id; ``labels`` are the redacted names of
    processes by (pid, start, name), so that each command line is read once; ``owners`` are the
    names of processes by the inode of a socket that they hold.
    """

    redactor: Redactor
    cpu: dict[int, float] = field(default_factory=dict)
    threads: dict[int, float] = field(default_factory=dict)
    labels: dict[tuple[int, str, str], str] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    machines: tuple[str, ...] = (HERE,)


@source("host", HostSession)
@asynccontextmanager
async def host(target: Target, redactor: Redactor) -> AsyncIterator[HostSession]:
    """This machine, through /proc; other systems than Linux have none."""
    if not (PROC / "stat").exists():
        raise Unreachable("system", "the host is read through /proc, which this system lacks")
    yield HostSession(redactor)


def text(path: Path | str) -> str | None:
    """Return a small file's text; None when it is absent or not ours to read.

    Without Python's file objects: a reading opens a thousand of these files.
    """
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        parts = [os.read(opened, _CHUNK)]
        while parts[-1]:
            parts.append(os.read(opened, _CHUNK))
    except OSError:
        return None  # the process has gone in between
    finally:
        os.close(opened)
    return b"".join(parts).decode("utf-8", "replace")


def required(path: Path) -> str:
    """Return a small file's text.

    Raises:
        Unavailable: it cannot be read.

    """
    found = text(path)
    if found is None:
        raise Unavailable(f"{path} cannot be read")
    return found


def number(path: Path) -> int | None:
    """Return the one number that a file holds; None when absent, or a word such as "max"."""
    found = (text(path) or "").strip()
    return int(found) if found.lstrip("-").isdigit() else None


def pids() -> Sequence[int]:
    """The processes that we may see, ``MOST`` of them at most: half the oldest, half the newest."""
    found = all_pids()
    return found if len(found) <= MOST else [*found[: MOST // 2], *found[-MOST // 2 :]]


def all_pids() -> Sequence[int]:
    """Every process that we may see, in the order of their ids."""
    return sorted(int(name) for name in os.listdir(PROC) if name.isdigit())
