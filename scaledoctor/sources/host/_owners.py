"""Which program holds a socket, by the inode that its descriptor names."""

import os
from collections.abc import Iterable
from time import monotonic

from scaledoctor.sources.host._labels import label
from scaledoctor.sources.host.session import PROC, HostSession, pids, text

SECONDS = 0.1
"""For one search through all descriptors that are ours to see."""


def owners(host: HostSession, inodes: Iterable[str]) -> dict[str, str]:
    """Return the program's name by inode, empty where it is hidden; each is searched for once.

    A socket that several processes share is the first one's.
    """
    wanted = set(inodes)
    missing = {f"socket:[{inode}]" for inode in wanted - host.owners.keys()}
    host.owners.update(dict.fromkeys(wanted - host.owners.keys(), ""))
    end = monotonic() + SECONDS
    for pid in pids() if missing else ():
        if not missing or monotonic() > end:
            break
        for link in _held(pid) & missing:
            host.owners[link[8:-1]] = _name(host, pid)
            missing.discard(link)
    return {inode: host.owners[inode] for inode in wanted}


def _held(pid: int) -> set[str]:
    """What the process's descriptors are; nothing when they are not ours to see."""
    folder = f"{PROC}/{pid}/fd"
    found: set[str] = set()
    try:
        for entry in os.listdir(folder):
            found.add(os.readlink(f"{folder}/{entry}"))
    except OSError:
        return found  # hidden, or gone in between
    return found


def _name(host: HostSession, pid: int) -> str:
    name = (text(f"{PROC}/{pid}/comm") or "").strip()
    command = (text(f"{PROC}/{pid}/cmdline") or name).split("\0")
    return host.redactor.text(label(name, command))
