"""Turns into another program that dies with its parent; run by file name with ``python -I -S``.

A program of its own, because ``preexec_fn`` is unsafe once a process has threads (psycopg_pool
has), and because the kernel forgets the parent-death signal when the account changes.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # prctl(2), Linux only


def main(arguments: list[str]) -> None:
    """``PARENT_PID SIGNAL UID GID PROGRAM ARGS...``; SIGNAL 0: outlive the parent, UID -1: stay."""
    parent, death_signal, uid, gid = (int(text) for text in arguments[:4])
    command = arguments[4:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if death_signal and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:  # it died before the call above
            sys.exit("the parent has gone")
    os.execv(command[0], command)  # noqa: S606  # an argument list, no shell


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"cannot start {sys.argv[5]}: {error}")
