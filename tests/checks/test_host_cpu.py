"""The CPU checks on plain facts: quiet and firing at the edge of each threshold."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from scaledoctor.sdk import Confidence, Finding, Severity, State, Unavailable, Window
from scaledoctor.sources.host import (
    Cgroup,
    Cgroups,
    CpuTimes,
    HostInfo,
    Pressure,
    Process,
    Processes,
    cores_by_label,
)
from scaledoctor.sources.postgres.roundtrip import RoundTrip
from scaledoctor_checks.host._groups import groups, starved
from scaledoctor_checks.host.application import cpu_application
from scaledoctor_checks.host.cpu import cpu, steal
from scaledoctor_checks.host.other_process import cpu_other_process
from tests.checks.pool_facts import config

TWO = HostInfo(cores=2, memory=8 << 30, container=False)
SECONDS = 10.0


def times(
    busy: float, running: int = 0, *, stalled: float | None = None, steal: float = 0.0
) -> Window[CpuTimes]:
    """Ten seconds with that many busy and stolen cores on average."""

    def at(seconds: float) -> CpuTimes:
        pressure = None if stalled is None else Pressure(stalled * seconds, 0.0)
        return CpuTimes(
            busy=busy * seconds,
            iowait=0.0,
            steal=steal * seconds,
            idle=max(0.0, 2 - busy) * seconds,
            cores=(busy * seconds / 2,) * 2,
            running=running,
            blocked=0,
            cpu_pressure=pressure,
            io_pressure=None,
            memory_pressure=None,
        )

    return Window(((0.0, at(0.0)), (SECONDS, at(SECONDS))))


def process(
    pid: int,
    label: str,
    cores: float,
    *,
    peers: Sequence[int] | None = (),
    remote: Sequence[int] = (),
    serves: Sequence[int] = (),
    wait: float = 0.0,
    parent: int = 1,
    uid: int = 0,
    own: bool = False,
    thread: float = 0.0,
) -> Process:
    """One process that used ``cores`` for ten seconds and waited ``wait`` of each second."""
    return Process(
        pid=pid,
        label=label,
        cpu=cores * SECONDS,
        waited=wait * SECONDS,
        own=own,
        parent=parent,
        ran=cores * SECONDS,
        uid=uid,
        peers=None if peers is None else tuple(peers),
        remote=tuple(remote),
        serves=tuple(serves),
        hottest=thread * SECONDS,
    )


def table(
    *processes: Process, databases: Sequence[int] = (25432,), clients: Sequence[int] = ()
) -> Window[Processes]:
    """All began with the window."""
    last = Processes(processes, tuple(databases), tuple(clients))
    return Window(((0.0, Processes(())), (SECONDS, last)))


POSTGRES = process(10, "postgres", 0.3, serves=[25432], wait=0.1)
STRESS = (process(21, "stress", 0.8, parent=20), process(22, "stress", 0.7, parent=20))
FULL = times(2.0, running=4)


def strangers(
    window: Window[CpuTimes], processes: Window[Processes], quotas: Window[Cgroups] | None = None
) -> list[Finding]:
    return list(cpu_other_process(TWO, window, processes, quotas, None))


@pytest.mark.parametrize(
    ("busy", "running", "stalled", "state"),
    [
        (1.5, 8, 1.0, State.OK),
        (1.7, 8, 1.0, State.BUSY),
        (1.9, 3, None, State.BUSY),
        (1.9, 4, None, State.SATURATED),
        (2.0, 3, 1.0, State.BUSY),
        (2.0, 2, 0.01, State.BUSY),
    ],
)
def test_full_cores_are_saturated_only_with_a_queue(
    busy: float, running: int, stalled: float | None, state: State
) -> None:
    """95 % without a queue is a well-used machine; a queue on idle cores is a moment."""
    use = cpu(TWO, times(busy, running, stalled=stalled))
    assert use is not None
    assert use.state is state
    assert use.waiting == max(0, running - 2)


def test_a_short_queue_counts_when_tasks_stall() -> None:
    """7 tasks on 4 cores are less than two each: with PSI at 60 % they are a queue."""
    four = HostInfo(cores=4, memory=1, container=False)
    stalling = cpu(four, times(3.9, 7, stalled=0.6))
    flowing = cpu(four, times(3.9, 7, stalled=0.59))
    assert stalling is not None
    assert flowing is not None
    assert (stalling.state, flowing.state) == (State.SATURATED, State.BUSY)


def test_one_sample_tells_no_rate() -> None:
    """A one-shot scan gives no use and no finding."""
    window = Window((FULL.samples[0],))
    assert cpu(TWO, window) is None
    assert not list(steal(TWO, window))
    assert strangers(window, Window(table(*STRESS).samples[-1:])) == []


def test_a_stranger_on_a_full_machine_is_named() -> None:
    """Label, pids, cores and a command to stop exactly those pids."""
    (found,) = strangers(FULL, table(POSTGRES, *STRESS, process(20, "cron", 0.0)))
    assert found.subject == "stress"
    assert "2 processes, started by cron" in found.summary
    assert "1.5 of 2 cores" in found.summary
    assert found.fixes[0].commands == ("kill -STOP 21 22",)
    assert found.fixes[0].undo == "kill -CONT 21 22"
    assert found.explains["host.cpu"] == pytest.approx(0.75)
    assert found.severity is Severity.CRITICAL
    assert found.confidence is Confidence.HIGH


@pytest.mark.parametrize(("cores", "named"), [(0.59, False), (0.61, True)])
def test_a_stranger_needs_a_third_of_the_cores(cores: float, named: bool) -> None:
    """30 % of 2 cores is 0.6."""
    assert bool(strangers(FULL, table(POSTGRES, process(21, "stress", cores)))) is named


def test_a_stranger_on_a_free_machine_is_left_alone() -> None:
    """Nothing waits for it."""
    assert strangers(times(1.7, 2), table(POSTGRES, *STRESS)) == []
    assert strangers(times(2.0, 2, stalled=0.01), table(POSTGRES, *STRESS)) == []


@pytest.mark.parametrize(
    "busy_one",
    [
        process(30, "ruby app.rb", 1.5, peers=[25432]),
        process(30, "ruby app.rb", 1.5, remote=[5432]),
        process(30, "nginx", 1.5),
        process(30, "postgres", 1.5),
        process(30, "scaledoctor", 1.5, own=True),
        process(30, "ruby app.rb", 1.5, peers=None, uid=33),
    ],
    ids=["client", "remote client", "known", "postgres", "ourselves", "client by user"],
)
def test_the_service_is_no_stranger(busy_one: Process) -> None:
    """Neither the database, nor its clients, nor a balancer, nor ourselves."""
    assert strangers(FULL, table(POSTGRES, busy_one, clients=(33,))) == []


def test_who_talks_to_a_client_belongs_to_the_service() -> None:
    """A gateway in front of the application, and a sibling worker without a connection."""
    app = process(30, "gunicorn", 0.1, peers=[25432], serves=[8000], parent=29)
    sibling = process(31, "gunicorn", 0.8, parent=29)
    gateway = process(40, "kong", 0.8, peers=[8000])
    assert strangers(FULL, table(POSTGRES, app, sibling, gateway)) == []


def test_inline_code_has_no_siblings() -> None:
    """Two ``python3 -c`` of one shell are two programs."""
    client = process(30, "python3 -c", 0.1, peers=[25432], parent=29)
    hog = process(31, "python3 -c", 1.5, parent=29)
    (found,) = strangers(FULL, table(POSTGRES, client, hog))
    assert found.fixes[0].commands == ("kill -STOP 31",)


def test_what_cannot_be_seen_lowers_the_confidence() -> None:
    """Connections not ours to read: medium; nothing of a service on this machine: low."""
    hidden = process(21, "stress", 1.5, peers=None, uid=7)
    (found,) = strangers(FULL, table(POSTGRES, hidden, clients=(33,)))
    assert found.confidence is Confidence.MEDIUM
    (alone,) = strangers(FULL, table(*STRESS, databases=()))
    assert (alone.confidence, alone.severity) == (Confidence.LOW, Severity.MEDIUM)


def test_nobody_suffers_while_the_service_is_idle() -> None:
    """A database that has nothing to do waits for no core: that is not known to be 0 %."""
    (found,) = strangers(FULL, table(process(10, "postgres", 0.01, wait=0.04), *STRESS))
    assert (found.confidence, found.severity) == (Confidence.LOW, Severity.MEDIUM)
    assert "service waits for a core" not in [e.fact for e in found.evidence]
    (light,) = strangers(FULL, table(process(10, "postgres", 0.01, wait=0.05), *STRESS))
    assert light.severity is Severity.CRITICAL
    assert "of the service wait for a core, mean" in [e.fact for e in light.evidence]
    (busy,) = strangers(FULL, table(process(10, "postgres", 0.3, wait=0.2), *STRESS))
    assert busy.severity is Severity.CRITICAL
    assert "service waits for a core" in [e.fact for e in busy.evidence]


@pytest.mark.parametrize(("wait", "named"), [(0.12, False), (0.14, True)])
def test_a_starved_database_is_enough(wait: float, named: bool) -> None:
    """On half a machine (a pinned database) the share of waiting tells: 30 % of 0.3 + wait."""
    starving = process(10, "postgres", 0.3, wait=wait)
    window = table(starving, process(21, "stress", 0.9))
    assert starved(window) == pytest.approx(wait / (0.3 + wait))
    assert bool(strangers(times(1.2, 1), window)) is named


def test_a_quota_explains_starvation_without_a_culprit() -> None:
    """A throttled database waits on an idle machine: whoever else runs is not to blame."""
    window = table(process(10, "postgres", 0.3, wait=0.9), process(21, "stress", 0.9))
    group = Cgroup("/g", 1, "/g/q", 0.3, 0, 0, 0.0, ("postgres",))
    later = Cgroup("/g", 1, "/g/q", 0.3, 100, 90, 8.0, ("postgres",))
    quotas = Window(((0.0, Cgroups((group,))), (SECONDS, Cgroups((later,)))))
    assert strangers(times(1.2, 1), window, quotas) == []
    assert len(strangers(times(1.2, 1), window)) == 1


@pytest.mark.parametrize(("cores", "named"), [(0.99, False), (1.01, True)])
def test_the_application_fills_the_machine(cores: float, named: bool) -> None:
    """Half of the cores, all full, and a connection to the database."""
    app = process(30, "gunicorn", cores, peers=[25432])
    found = list(cpu_application(TWO, FULL, table(POSTGRES, app), None))
    assert [f.subject for f in found] == (["gunicorn"] if named else [])
    assert all("other machines" in f.fixes[0].title for f in found)


@pytest.mark.parametrize(
    ("app", "named"),
    [
        (process(30, "python3 app.py", 0.94, peers=[25432]), False),
        (process(30, "python3 app.py", 0.96, peers=[25432]), True),
        (process(30, "java -jar app.jar", 1.2, peers=[25432], thread=0.5), False),
        (process(30, "java -jar app.jar", 1.2, peers=[25432], thread=0.96), True),
        (process(30, "python3 batch.py", 0.99), False),
    ],
)
def test_one_hot_core_asks_for_more_processes(app: Process, named: bool) -> None:
    """One thread at its limit while the machine has room; only of the service."""
    found = list(cpu_application(TWO, times(1.3, 1), table(POSTGRES, app), None))
    assert bool(found) is named
    assert all("more processes" in f.fixes[0].title for f in found)
    assert not any(f.explains for f in found)


def test_a_hot_pgbouncer_is_named_once() -> None:
    """By pgbouncer.one-core where its console is looked at, else here."""
    hot = table(POSTGRES, process(30, "pgbouncer", 0.99, peers=[25432], thread=0.99))
    assert [f.subject for f in cpu_application(TWO, times(1.3, 1), hot, None)] == [
        "pgbouncer, one core"
    ]
    assert not list(cpu_application(TWO, times(1.3, 1), hot, config()))


def test_a_load_generator_on_one_core_is_left_alone() -> None:
    """It talks to the application and not to the database: its core is not the service's."""
    app = process(30, "gunicorn", 0.1, peers=[25432], serves=[8000])
    load = process(40, "python3 load.py", 0.99, peers=[8000])
    assert list(cpu_application(TWO, times(1.3, 1), table(POSTGRES, app, load), None)) == []


@pytest.mark.parametrize(
    ("stolen", "severity"),
    [(0.19, None), (0.2, Severity.MEDIUM), (0.49, Severity.MEDIUM), (0.5, Severity.HIGH)],
)
def test_steal(stolen: float, severity: Severity | None) -> None:
    """10 % of two cores is 0.2, 25 % is 0.5."""
    found = list(steal(TWO, times(1.0, steal=stolen)))
    assert [f.severity for f in found] == ([severity] if severity else [])


def test_cores_by_label_leaves_us_out() -> None:
    """Groups and the plain table agree."""
    window = table(POSTGRES, *STRESS, process(5, "scaledoctor", 0.4, own=True))
    assert cores_by_label(window) == pytest.approx({"postgres": 0.3, "stress": 1.5})
    assert {g.label: g.cores for g in groups(window)} == pytest.approx(
        {"postgres": 0.3, "stress": 1.5}
    )


def test_processes_left_out_are_no_good_news() -> None:
    """Full cores whose owner may be among them; a calm machine needs no owner."""
    last = Processes((POSTGRES,), (25432,), left_out=700)
    crowd = Window(((0.0, Processes(())), (SECONDS, last)))
    with pytest.raises(Unavailable, match="700 processes were left out"):
        strangers(FULL, crowd)
    assert strangers(times(1.0), crowd) == []


def test_what_a_question_loses_stands_beside_the_culprit() -> None:
    """Calm statements, late answers: the database waits for a core."""
    trips = Window.of(RoundTrip(0.0137, 0.00013, 0.00001, 0.0), RoundTrip(0.02, 0.1, 0.0, 0.0))
    window = table(POSTGRES, *STRESS)
    (found,) = cpu_other_process(TWO, FULL, window, None, trips)
    shown = {e.fact: e.value for e in found.evidence if e.source == "probe"}
    assert list(shown) == ["a question's time in PostgreSQL", "and beyond it, without our own"]


@pytest.mark.parametrize(
    ("container", "database", "told"), [(True, 1.3, True), (True, 1.5, False), (False, 0.3, False)]
)
def test_in_a_container_the_rest_of_the_host_is_not_seen(
    container: bool, database: float, told: bool
) -> None:
    """Full cores of the host, and a third of them or more taken by nobody whom we see."""
    info = replace(TWO, container=container)
    window = table(process(10, "postgres", database))
    looked = cpu_other_process(info, FULL, window, None, None)
    if told:
        with pytest.raises(Unavailable, match=r"0\.7 busy cores are of processes outside"):
            list(looked)
    else:
        assert list(looked) == []
