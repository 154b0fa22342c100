"""Doors, ports and files on this machine: one scan while all faults are there."""

import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from scaledoctor.collect import collect
from scaledoctor.demo.servers.child import free_port
from scaledoctor.examine import examine
from scaledoctor.redact import Redactor
from scaledoctor.sdk import Finding, Kind, Severity
from scaledoctor.targets import HOST
from tests.balancers import Seen, plugins

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(sys.platform != "linux", reason="the host is read through /proc"),
]

STUCK = """
import socket, sys, time
door = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=2)
print("ready", flush=True)
time.sleep(60)
"""
"""It listens and never accepts."""

BUSY = """
import socket, sys
door = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=2)
print("ready", flush=True)
while True:
    door.accept()[0].close()
"""

LEAK = """
import time
kept = []
try:
    while True:
        kept.append(open("/dev/null"))
except OSError:
    kept.pop().close()
print("ready", flush=True)
time.sleep(60)
"""
"""It opens all files that it may, but one."""


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


@dataclass(frozen=True)
class Scene:
    """One scan, and the ports of the programs: one stuck, one that works, one in the range."""

    seen: Seen
    stuck: int
    works: int
    inside: int

    def of(self, check: str, subject: str) -> list[Finding]:
        return [f for f in self.seen.by(check) if subject in f.subject]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("doors")
    with ExitStack() as stack:

        def start(name: str, code: str, *words: object, few_files: bool = False) -> None:
            script = folder / name
            script.write_text(code)
            child = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, str(script), *map(str, words)],
                    stdout=subprocess.PIPE,
                    preexec_fn=limited if few_files else None,
                )
            )
            stack.callback(child.kill)
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"

        stuck, works = free_port(), free_port()
        start("stuck_app.py", STUCK, stuck)
        start("good_app.py", BUSY, works)
        start("leaky_app.py", LEAK, few_files=True)
        for _ in range(6):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", stuck))
        for _ in range(40):
            socket.create_connection(("127.0.0.1", works)).close()
        by_chance = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        snapshot = collect((HOST,), plugins(), Redactor(), 2.0)
        seen = Seen(snapshot, examine(snapshot, plugins()))
        yield Scene(seen, stuck, works, by_chance.getsockname()[1])


def test_a_program_that_takes_no_connections_is_named(scene: Scene) -> None:
    """With its port, its backlog and the two ways out; the one beside it that works is not."""
    (found,) = scene.of("host.accept-queue", f"port {scene.stuck}")
    assert found.subject.endswith(f"stuck_app.py, port {scene.stuck}")
    assert "3 connections wait" in found.summary
    assert "room for 2" in found.summary
    assert found.severity >= Severity.HIGH
    assert scene.of("host.accept-queue", f"port {scene.works}") == []


def test_a_program_at_its_limit_of_files_is_named(scene: Scene) -> None:
    """63 of 64."""
    (found,) = scene.of("host.open-files-limit", "leaky_app.py")
    assert (found.severity, found.kind) == (Severity.CRITICAL, Kind.LIVE)
    assert "63 of 64 files" in found.summary
    assert "--nofile=256:256" in found.fixes[0].commands[0]
    assert scene.of("host.open-files-limit", "stuck_app.py") == []


def test_closed_connections_are_counted_by_destination(scene: Scene) -> None:
    """Those to the stuck program are in use; a few are far from the range's size."""
    ports = scene.seen.fact("Ports")
    places = {d.port: d for d in ports.destinations}
    if scene.stuck in places:  # on a busy machine ten others may have more
        assert places[scene.stuck].used >= 3
    assert scene.of("host.ports-exhausted", f":{scene.works}") == []


def test_a_port_in_the_range_is_known_and_no_risk_by_itself(scene: Scene) -> None:
    """We listen on one that the system chose, as any tool may."""
    ports = scene.seen.fact("Ports")
    owners = dict(ports.inside)
    assert "python" in owners[scene.inside] or "pytest" in owners[scene.inside]
    assert scene.of("host.port-at-risk", f"port {scene.inside}") == []


def test_what_a_look_costs(scene: Scene) -> None:
    """A few milliseconds each; far below that of reading all processes."""
    (record,) = scene.seen.snapshot.records
    assert record.costs["Listeners"].calls <= 4
    assert record.costs["Network"].calls == 2
    assert not record.skips
    assert Path("/proc/net/snmp").exists()
