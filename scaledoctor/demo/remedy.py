"""Carry out a report's fix as its reader would, and nothing beyond what it says."""

import os
import re
import shlex
import signal
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scaledoctor.demo import consoles
from scaledoctor.demo.servers import Haproxy, PgBouncer, RedisServer
from scaledoctor.demo.servers.child import Child
from scaledoctor.model import Fix

SIGNALS = {"-STOP": signal.SIGSTOP, "-CONT": signal.SIGCONT, "-TERM": signal.SIGTERM}

SOCKET = "/run/haproxy/admin.sock"

WORKERS = re.compile(r"Run (\d+) workers for .+ instead of (\d+)")

SETTINGS = ("maxmemory", "maxmemory-policy")

ORDER = re.compile(
    r"set (server \S+/\S+ (state (ready|drain|maint)|weight \d+%?)|weight \S+/\S+ \d+%?)"
)

PATIENCE = "30s"
"""statement_timeout of a fix; the slowest, an index on 200,000 rows, takes below one second."""


@dataclass(frozen=True, slots=True)
class Applied:
    """One command of a fix; ``problem`` is empty when it was carried out."""

    command: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Ours:
    """What a fix may touch: everything else is for people.

    ``dsn`` is a superuser's; ``children`` are processes by pid, ``files`` those that the stage
    made; ``more`` starts so many more workers.
    """

    dsn: str = ""
    children: Mapping[int, Child] = field(default_factory=dict)
    files: Collection[str] = ()
    pooler: PgBouncer | None = None
    balancer: Haproxy | None = None
    cache: RedisServer | None = None
    more: Callable[[int], object] | None = None


def apply(fix: Fix, ours: Ours) -> tuple[Applied, ...]:
    """Carry out the commands of a fix.

    Of SQL everything, each command by itself. Of the shell only ``kill`` and ``renice`` of our
    children, ``echo TEXT > FILE`` into our files, and ``echo "set server ..." | socat`` into our
    balancer's socket, and ``redis-cli CONFIG SET`` of our cache's memory. Of ini lines the settings
    that our pooler can change while it runs; then it is reloaded. Lines that are only a comment are
    no commands. A fix that says how many workers to run is done by starting those that lack.
    """
    wanted = WORKERS.fullmatch(fix.title)
    if wanted and ours.more:
        ours.more(int(wanted[1]) - int(wanted[2]))
        return (Applied(fix.title),)
    commands = [c for c in fix.commands if not c.lstrip().startswith(("--", "#", ";"))]
    match fix.language:
        case "sql":
            return _sql(commands, ours.dsn)
        case "shell":
            return tuple(_shell(command, ours) for command in commands)
        case "ini" if ours.pooler is not None:
            return _ini(commands, ours.pooler)
    return tuple(_for_people(command) for command in commands)


def _for_people(command: str) -> Applied:
    return Applied(command, "this is for people")


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


def _shell(command: str, ours: Ours) -> Applied:
    match shlex.split(command):
        case ["kill", name, *pids] if name in SIGNALS and _ours(pids, ours.children):
            for pid in pids:
                ours.children[int(pid)].process.send_signal(SIGNALS[name])
        case ["renice", "-n", value, "-p", *pids] if value.isdigit() and _ours(pids, ours.children):
            for pid in pids:
                os.setpriority(os.PRIO_PROCESS, int(pid), int(value))
        case ["redis-cli", "CONFIG", "SET", name, value] if ours.cache and name in SETTINGS:
            return Applied(command, consoles.change(ours.cache, name, value))
        case ["echo", *words, ">", file] if file in ours.files:
            Path(file).write_text(" ".join(words))
        case ["echo", order, "|", "socat", "stdio", place] if _obeys(order, place, ours.balancer):
            assert ours.balancer is not None
            return Applied(command, consoles.tell(ours.balancer, order))
        case _:
            return _for_people(command)
    return Applied(command)


def _obeys(order: str, place: str, balancer: Haproxy | None) -> bool:
    """Whether it changes a server's state or weight, on our balancer's socket or the usual one.

    The report names the socket by the place where Debian puts it; here ours stands in for it.
    """
    ours = balancer is not None and place in (SOCKET, consoles.admin(balancer))
    return ours and ORDER.fullmatch(order) is not None


def _ini(commands: list[str], pooler: PgBouncer) -> tuple[Applied, ...]:
    """Write the settings of [pgbouncer], whose head a fix leaves out, and reload, once for all."""
    changeable = consoles.changeable(pooler)
    section, settings, done = "[pgbouncer]", dict[str, str | int](), list[Applied]()
    for command in commands:
        name, _, value = (part.strip() for part in command.partition("="))
        if name.startswith("["):
            section = name
        elif section == "[pgbouncer]" and name in changeable and value:
            settings[name] = value
            done.append(Applied(command))
        else:
            done.append(_for_people(command))
    if settings:
        consoles.configure(pooler, settings)
    return tuple(done)


def _ours(pids: list[str], children: Mapping[int, Child]) -> bool:
    return bool(pids) and all(pid.isdigit() and int(pid) in children for pid in pids)
