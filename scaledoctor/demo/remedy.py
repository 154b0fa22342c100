"""Carry out a report's fix as its reader would, and nothing beyond what it says."""

import os
import shlex
import signal
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from scaledoctor.demo.servers.child import Child
from scaledoctor.model import Fix

SIGNALS = {"-STOP": signal.SIGSTOP, "-CONT": signal.SIGCONT, "-TERM": signal.SIGTERM}

PATIENCE = "30s"
"""statement_timeout of a fix; the slowest, an index on 200,000 rows, takes below one second."""


@dataclass(frozen=True, slots=True)
class Applied:
    """One command of a fix; ``problem`` is empty when it was carried out."""

    command: str
    problem: str = ""


def apply(
    fix: Fix, dsn: str, children: Mapping[int, Child], files: Collection[str]
) -> tuple[Applied, ...]:
    """Carry out the commands of a fix.

    SQL runs on ``dsn``, a superuser's, each command by itself. Of the shell only ``kill`` and
    ``renice`` of ``children`` (by pid) and ``echo TEXT > FILE`` into ``files``. Everything else is
    for people. Lines that are only a comment are no commands.
    """
    commands = [c for c in fix.commands if not c.lstrip().startswith(("--", "#"))]
    match fix.language:
        case "sql":
            return _sql(commands, dsn)
        case "shell":
            return tuple(_shell(command, children, files) for command in commands)
    return tuple(Applied(command, "this is for people") for command in commands)


def _sql(commands: list[str], dsn: str) -> tuple[Applied, ...]:
    import psycopg

    done: list[Applied] = []
    limit = f"-c statement_timeout={PATIENCE}"
    with psycopg.connect(dsn, autocommit=True, options=limit) as admin:
        for command in commands:
            try:
                admin.execute(command.encode())
            except psycopg.Error as error:
                done.append(Applied(command, " ".join(str(error).split())))
            else:
                done.append(Applied(command))
    return tuple(done)


def _shell(command: str, children: Mapping[int, Child], files: Collection[str]) -> Applied:
    match shlex.split(command):
        case ["kill", name, *pids] if name in SIGNALS and _ours(pids, children):
            for pid in pids:
                children[int(pid)].process.send_signal(SIGNALS[name])
        case ["renice", "-n", value, "-p", *pids] if value.isdigit() and _ours(pids, children):
            for pid in pids:
                os.setpriority(os.PRIO_PROCESS, int(pid), int(value))
        case ["echo", *words, ">", file] if file in files:
            Path(file).write_text(" ".join(words))
        case _:
            return Applied(command, "this is for people")
    return Applied(command)


def _ours(pids: list[str], children: Mapping[int, Child]) -> bool:
    return bool(pids) and all(pid.isdigit() and int(pid) in children for pid in pids)
