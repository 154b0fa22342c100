"""Faults behind a real HAProxy, of both versions, under real load: the right one comes first."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from scaledoctor.collect import collect
from scaledoctor.demo.servers import Haproxy, balancer_cfg, find_haproxy, haproxy
from scaledoctor.demo.servers.child import free_port
from scaledoctor.diagnosis import diagnose
from scaledoctor.model import Severity
from scaledoctor.redact import Redactor
from scaledoctor.registry import load
from scaledoctor.report import Report, Status
from scaledoctor.targets import targets
from tests.servers import missing
from tests.web import Sites, asking, sites

pytestmark = pytest.mark.live

REGISTRY = load()
CHECK = "option httpchk GET /health"
FAST = "check inter 100ms"
VERSIONS = find_haproxy()

Lines = Callable[[Sites], Sequence[str]]


def nothing(_: Sites) -> None:
    """Leave the servers alone."""


def each(**how: float) -> Callable[[Sites], None]:
    """All servers behave so."""

    def change(behind: Sites) -> None:
        for number in range(len(behind.ports)):
            behind.set(number, **how)

    return change


def one(number: int, **how: float) -> Callable[[Sites], None]:
    """One server behaves so."""
    return lambda behind: behind.set(number, **how)


def both(*changes: Callable[[Sites], None]) -> Callable[[Sites], None]:
    """One change after the other."""

    def change(behind: Sites) -> None:
        for step in changes:
            step(behind)

    return change


@dataclass(frozen=True)
class Scene:
    """A balancer with servers behind it, clients before it, and what goes wrong."""

    lines: Lines
    before: Callable[[Sites], None] = nothing
    under_load: Callable[[Sites], None] = nothing
    clients: int = 8
    think: float = 0.005
    cookies: tuple[str, ...] = ()
    frontend: tuple[str, ...] = ()
    extra_global: tuple[str, ...] = ()
    servers: int = 3
    page: bool = False
    window: float = 1.5


def look(scene: Scene, folder: Path, version: int = 0) -> Report:
    """The report of a scan while the clients ask."""
    if version >= len(VERSIONS):
        missing("haproxy of that version is not installed (pip install 'scaledoctor[demo]')")
    with sites(folder, scene.servers) as behind:
        scene.before(behind)
        cfg = balancer_cfg(
            {"app": scene.lines(behind)},
            frontend=scene.frontend,
            extra_global=scene.extra_global,
        )
        with haproxy(cfg, binary=VERSIONS[version]) as balancer:
            time.sleep(0.3)  # the first checks of all servers
            with asking(folder, balancer.url, clients=scene.clients, seconds=20.0,
                        think=scene.think, cookies=scene.cookies):  # fmt: skip
                scene.under_load(behind)
                time.sleep(0.5)
                return report(balancer, scene)


def report(balancer: Haproxy, scene: Scene) -> Report:
    where = balancer.stats_url if scene.page else f"unix:{balancer.socket}"
    snapshot = collect(targets({"haproxy": [where]}, {})[1:], REGISTRY, Redactor(), scene.window)
    found = diagnose(snapshot, REGISTRY)
    assert [e.error for e in found.errored] == []
    return found


def fleet(*own: str, check: str = FAST, head: Sequence[str] = (CHECK,)) -> Lines:
    return lambda behind: [*head, *behind.lines(*own, check=check)]


def with_dead(behind: Sites) -> list[str]:
    return [*behind.lines(check=""), f"server dead 127.0.0.1:{free_port()}"]


COOKIES = ("cookie a", "cookie b", "cookie c")
STICKY = (CHECK, "cookie SRV insert indirect nocache")
CLIENTS = ("SRV=a", "SRV=a", "SRV=a", "SRV=b")
TIMED_OUT = (CHECK, "timeout queue 100ms")
LATE = (CHECK, "timeout server 200ms")

FAULTS: dict[str, tuple[Scene, str, str, set[str]]] = {
    "all down by one answer": (
        Scene(fleet(), under_load=each(health=503)),
        "haproxy.shared-health-check", "app", {"haproxy.servers-down", "haproxy.own-errors"},
    ),
    "one down": (
        Scene(fleet(), under_load=one(1, health=503)),
        "haproxy.servers-down", "app/s2", set(),
    ),
    "one down, the others full": (
        Scene(fleet(check=f"{FAST} maxconn 2"), each(delay=0.05), one(1, health=503), clients=12),
        "haproxy.servers-down", "app/s2", {"haproxy.queueing"},
    ),
    "a dead server that is not checked": (
        Scene(with_dead), "haproxy.connect-errors", "app/dead", set(),
    ),
    "one fails": (
        Scene(fleet(), one(1, status=500)), "haproxy.server-errors", "app/s2", set(),
    ),
    "all fail": (
        Scene(fleet(), each(status=500)), "haproxy.server-errors", "app", set(),
    ),
    "one is slow": (
        Scene(fleet(), one(1, delay=0.3), page=True), "haproxy.slow-server", "app/s2", set(),
    ),
    "one is slow, and full": (
        Scene(fleet(check=f"{FAST} maxconn 3"), both(each(delay=0.02), one(1, delay=0.4)),
              clients=16),
        "haproxy.slow-server", "app/s2", {"haproxy.queueing"},
    ),
    "one hangs": (
        Scene(fleet(), one(1, delay=60)), "haproxy.slow-server", "app/s2", set(),
    ),
    "one is too late": (
        Scene(fleet(head=LATE), one(1, delay=3)),
        "haproxy.slow-server", "app/s2", {"haproxy.own-errors"},
    ),
    "a low maxconn": (
        Scene(fleet(check=f"{FAST} maxconn 1"), each(delay=0.02), clients=24),
        "haproxy.server-maxconn", "app", {"haproxy.queueing"},
    ),
    "a low maxconn that refuses": (
        Scene(fleet(check=f"{FAST} maxconn 1", head=TIMED_OUT), each(delay=0.04), clients=40),
        "haproxy.server-maxconn", "app", {"haproxy.queueing"},
    ),
    "all are slow, and full": (
        Scene(fleet(check=f"{FAST} maxconn 2"), each(delay=0.5), clients=24),
        "haproxy.queueing", "app", set(),
    ),
    "all are slow, full, and refuse": (
        Scene(fleet(check=f"{FAST} maxconn 2", head=(CHECK, "timeout queue 300ms")),
              each(delay=0.5), clients=24),
        "haproxy.queueing", "app", set(),
    ),
    "a frontend is full": (
        Scene(fleet(), each(delay=0.05), frontend=("maxconn 5",), clients=20),
        "haproxy.maxconn-reached", "frontend web", set(),
    ),
    "the process is full": (
        Scene(fleet(), each(delay=0.05), extra_global=("maxconn 6",), clients=20),
        "haproxy.maxconn-reached", "global", set(),
    ),
    "everybody on one server": (
        Scene(fleet(head=(CHECK, "balance source")), each(delay=0.01, slots=3),
              clients=12, think=0.0, window=4.0),
        "haproxy.imbalance", "app", set(),
    ),
    "sticky clients on a full server": (
        Scene(fleet(*COOKIES, head=STICKY), each(delay=0.01, slots=2), clients=24,
              cookies=CLIENTS, window=4.0),
        "haproxy.imbalance", "app", set(),
    ),
    "a weight left behind": (
        Scene(fleet("weight 100", "weight 1", "weight 100"), each(delay=0.02, slots=1)),
        "haproxy.leftover-weight", "app/s2", set(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_comes_first_with_its_symptoms(name: str, tmp_path: Path) -> None:
    """The system's version and the wheel's take turns."""
    scene, check, subject, symptoms = FAULTS[name]
    version = list(FAULTS).index(name) % max(1, len(VERSIONS))
    found = look(scene, tmp_path, version)
    assert found.verdict.status is Status.BOTTLENECK
    first = found.diagnoses[0]
    assert (first.finding.check, first.finding.subject) == (check, subject), found.verdict.sentence
    assert {symptom.check for symptom in first.symptoms} >= symptoms
    others = {f"{d.finding.check} {d.finding.subject}" for d in found.diagnoses[1:]}
    assert others == set()


QUIET: dict[str, Scene] = {
    "healthy": Scene(fleet()),
    "healthy, by the page": Scene(fleet(), page=True),
    "healthy with limits": Scene(fleet(check=f"{FAST} maxconn 20"), each(delay=0.02)),
    "least connections": Scene(fleet(head=(CHECK, "balance leastconn")), each(delay=0.02)),
    "a dozen requests, 9 to 3": Scene(
        fleet("weight 3", "weight 1"), clients=1, think=0.15, servers=2
    ),
    "cookies that are meant": Scene(fleet(*COOKIES, head=STICKY), cookies=CLIENTS),
    "one in maintenance": Scene(fleet("disabled")),
    "one drained": Scene(fleet("weight 0")),
}


@pytest.mark.parametrize("name", QUIET)
def test_what_is_well_or_meant_is_quiet(name: str, tmp_path: Path) -> None:
    """Nothing above information, and no risk but those that the servers' lines really have."""
    version = list(QUIET).index(name) % max(1, len(VERSIONS))
    found = look(QUIET[name], tmp_path, version)
    assert [f"{d.finding.check}: {d.finding.summary}" for d in found.diagnoses] == []
    assert found.verdict.status is Status.HEALTHY
    assert [f.summary for f in found.minor if f.severity > Severity.INFO] == []
    assert [f.check for f in found.risks] == []


def test_a_server_that_falls_and_comes_back_flaps(tmp_path: Path) -> None:
    """Its check fails for half a second in the window."""

    def blink(behind: Sites) -> None:
        for health in (503, 200, 503, 200):
            behind.set(2, health=health)
            time.sleep(0.5)

    scene = Scene(fleet(check=f"{FAST} fall 2 rise 2"), under_load=blink)
    found = look(scene, tmp_path)
    flaps = [f for f in (*found.risks, *(d.finding for d in found.diagnoses))
             if f.check == "haproxy.flapping"]  # fmt: skip
    assert [f.subject for f in flaps] == ["app/s3"]


def test_ports_that_are_open_are_a_risk(tmp_path: Path) -> None:
    """Checked by connecting only, which is HAProxy's own default."""
    found = look(Scene(fleet(head=())), tmp_path, len(VERSIONS) - 1)
    assert {f.check for f in found.risks} == {"haproxy.shallow-health-check"}


def test_a_server_that_is_alone_is_a_risk(tmp_path: Path) -> None:
    """And how HAProxy balances is not shown on a socket of level user: the report says so."""
    found = look(Scene(fleet(), servers=1), tmp_path)
    assert {f.check for f in found.risks} == {"haproxy.single-server"}
    assert {f.check for f in found.blind_spots} == {"haproxy.algorithm-unseen"}
