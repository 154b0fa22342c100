"""Checks on queues at their thresholds, on plain facts: quiet first, then each edge."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from scaledoctor.sdk import (
    Confidence,
    Finding,
    Fix,
    Severity,
    State,
    Unavailable,
    Use,
    Window,
)
from scaledoctor.sources.host import CpuTimes, HostInfo
from scaledoctor.sources.postgres import Activity
from scaledoctor.sources.queues import Queue, Queues
from scaledoctor_checks.queues.backlog import backlog
from scaledoctor_checks.queues.dead import dead
from scaledoctor_checks.queues.latency import latency
from scaledoctor_checks.queues.no_workers import no_workers
from scaledoctor_checks.queues.prefetch import prefetch_hoard
from scaledoctor_checks.queues.retry_storm import retry_storm
from scaledoctor_checks.queues.stuck import stuck_in_flight
from scaledoctor_checks.queues.visibility import visibility_timeout
from scaledoctor_checks.queues.workers import workers
from tests.checks.pg_facts import SERVER, active, idle, waiting
from tests.checks.pg_facts import still as sessions
from tests.checks.queue_facts import growing, only, over, queue, still

BUSY = {"slots": 4, "consumers": 4, "in_flight": 4}


def never(window: Window[Queues], activity: Window[Activity] | None = None) -> list[Finding]:
    """The backlog check with PostgreSQL beside it or not."""
    return list(backlog(window, activity, SERVER if activity else None, None, None, None))


def uses(window: Window[Queues], activity: Window[Activity] | None = None) -> list[Use]:
    """The resource likewise."""
    return list(workers(window, activity, SERVER if activity else None, None, None, None))


def told(check: Callable[..., Any], window: Window[Queues]) -> list[Finding]:
    """What a check finds; nothing where its system does not tell."""
    try:
        return list(check(window))
    except Unavailable:
        return []


HEALTHY: dict[str, Window[Queues]] = {
    "empty": still(**BUSY, oldest=None),
    "unknown": still(),
    "a few young jobs": still(ready=40, oldest=2.0, **BUSY),
    "a burst that drains": growing(5000, 4000, service=200.0, oldest=20.0, **BUSY),
    "a burst in the window": over(
        lambda part: {"ready": 0 if part < 0.4 else round(2000 * (1.4 - part)), "done": 500 * part},
        oldest=4.0, **BUSY,
    ),
    "depth goes up and down": over(
        lambda part: {"ready": 50 + 40 * (round(part * 20) % 2), "done": 90 * part},
        oldest=1.0, **BUSY,
    ),
    "a worker restarts": over(
        lambda part: {"consumers": 1 if part > 0.8 else 0}, ready=5, oldest=8.0
    ),
    "failed long ago": still(ready=3, oldest=1.0, dead=99, **BUSY),
    "retries of an outage": still(ready=3, oldest=1.0, retrying=19, **BUSY),
    "prefetched while busy": still(in_flight=8, reserved=8, idle=0, consumers=2),
    "prefetched between two jobs": still(in_flight=2, reserved=2, idle=1, consumers=2),
}  # fmt: skip


@pytest.mark.parametrize("window", HEALTHY.values(), ids=HEALTHY)
def test_a_healthy_queue_is_quiet(window: Window[Queues]) -> None:
    """Depth alone is no trouble: nothing fires, and no resource is saturated."""
    checks: tuple[Callable[..., Any], ...] = (
        latency, dead, retry_storm, stuck_in_flight, visibility_timeout, prefetch_hoard,
    )  # fmt: skip
    found = [finding for check in checks for finding in told(check, window)]
    assert [*found, *never(window)] == []
    assert [use.state for use in uses(window) if use.state is State.SATURATED] == []
    if window.last.queues[0].consumers is not None or not window.last.queues[0].ready:
        assert list(no_workers(window)) == []


@pytest.mark.parametrize(
    ("age", "severity"), [(29.9, None), (30.0, "MEDIUM"), (59.9, "MEDIUM"), (60.0, "CRITICAL")]
)
def test_no_workers_by_age(age: float, severity: str | None) -> None:
    """A deployment may take half a minute; from a minute on nobody comes."""
    found = list(no_workers(still(ready=3, oldest=age, consumers=0)))
    assert [f.severity.name for f in found] == ([severity] if severity else [])


def test_no_workers_without_age_is_critical() -> None:
    """Celery keeps no times; who takes from it is known all the same."""
    window = still(queue(name="other", ready=3, consumers=1), system="celery", ready=9, consumers=0)
    finding = only(no_workers(window))
    assert finding.severity is Severity.CRITICAL
    assert finding.subject == "celery mail"
    assert finding.explains == {"queue.workers:celery mail": 1.0}
    assert finding.impact == pytest.approx(0.75)
    assert finding.fixes[0].commands == ("celery -A APP worker -Q mail",)


def test_no_workers_says_when_it_cannot_see() -> None:
    """Not known is not none: the check is skipped with a reason."""
    with pytest.raises(Unavailable, match="rq mail"):
        list(no_workers(still(ready=9)))


@pytest.mark.parametrize(
    ("age", "severity"),
    [(59.9, None), (60.0, "MEDIUM"), (299.0, "MEDIUM"), (300.0, "HIGH"), (1799.0, "HIGH"),
     (1800.0, "CRITICAL")],
)  # fmt: skip
def test_latency_by_age(age: float, severity: str | None) -> None:
    """Age decides, whatever the depth."""
    found = list(latency(still(ready=1, oldest=age, consumers=1)))
    assert [f.severity.name for f in found] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("ready", "severity"), [(295, None), (305, "MEDIUM"), (1505, "HIGH"), (9005, "CRITICAL")]
)
def test_latency_by_littles_law(ready: int, severity: str | None) -> None:
    """Without ages: depth over jobs done per second, five here."""
    found = list(latency(growing(ready, ready, service=5.0, consumers=1)))
    assert [f.severity.name for f in found] == ([severity] if severity else [])
    assert all(f.confidence is Confidence.MEDIUM for f in found)


@pytest.mark.parametrize(
    ("ready", "severity"), [(999, None), (1000, "MEDIUM"), (9999, "MEDIUM"), (10_000, "HIGH")]
)
def test_latency_by_depth_alone(ready: int, severity: str | None) -> None:
    """Neither age nor rate: depth, with low confidence."""
    found = list(latency(still(ready=ready)))
    assert [f.severity.name for f in found] == ([severity] if severity else [])
    assert all(f.confidence is Confidence.LOW for f in found)


def test_latency_by_depth_is_quiet_when_it_falls() -> None:
    """It is being worked off."""
    assert not list(latency(over(lambda part: {"ready": 5000 - round(100 * part)})))


@pytest.mark.parametrize(("last", "severity"), [(514, "LOW"), (516, "MEDIUM")])
def test_latency_of_what_soon_drains_is_minor(last: int, severity: str) -> None:
    """600 jobs at 8.6 per second are gone in a minute."""
    finding = only(latency(growing(600, last, oldest=70.0, consumers=1)))
    assert finding.severity.name == severity


def test_latency_of_a_paused_queue_says_so() -> None:
    """More workers would not help; its own fix does."""
    finding = only(latency(still(ready=5, oldest=400.0, paused=True, slots=2, in_flight=0)))
    assert "paused" in finding.summary
    assert finding.fixes[0].commands == ("rq resume",)
    assert finding.waits_for == {}


def test_latency_beside_idle_workers_says_so() -> None:
    """Half of the slots unused: routing, not capacity."""
    finding = only(latency(still(ready=5, oldest=400.0, slots=4, in_flight=1, consumers=4)))
    assert "1.0 of 4 slots" in finding.summary
    assert finding.waits_for == {}
    busy = only(latency(still(ready=5, oldest=400.0, slots=4, in_flight=2, consumers=4)))
    assert busy.waits_for == {"queue.workers:rq mail": 1.0}


@pytest.mark.parametrize(("last", "fires"), [(410, False), (420, False), (421, True)])
def test_backlog_by_growth(last: int, fires: bool) -> None:
    """More than 10 jobs, and more than 5 % of what waited at first."""
    assert bool(never(growing(400, last, oldest=40.0, **BUSY))) is fires


@pytest.mark.parametrize(("last", "fires"), [(20, False), (21, True)])
def test_backlog_of_a_small_queue(last: int, fires: bool) -> None:
    """More than ten jobs."""
    assert bool(never(growing(10, last, oldest=40.0, **BUSY))) is fires


@pytest.mark.parametrize(("seconds", "fires"), [(8.9, False), (9.1, True)])
def test_backlog_needs_a_window(seconds: float, fires: bool) -> None:
    """A trend of a second is none."""
    assert bool(never(growing(400, 500, seconds=seconds, oldest=40.0, **BUSY))) is fires


@pytest.mark.parametrize(("age", "fires"), [(29.9, False), (30.0, True)])
def test_backlog_by_age(age: float, fires: bool) -> None:
    """It grows, but nobody notices yet."""
    assert bool(never(growing(400, 500, service=50.0, oldest=age, **BUSY))) is fires


@pytest.mark.parametrize(("service", "fires"), [(20.1, False), (20.0, True)])
def test_backlog_by_the_wait_of_a_new_job(service: float, fires: bool) -> None:
    """The oldest is young still: 600 before a new one, at 20 a second."""
    assert bool(never(growing(500, 600, service=service, oldest=9.0, **BUSY))) is fires


@pytest.mark.parametrize(("last", "fires"), [(99, False), (100, True)])
def test_backlog_by_depth_where_nothing_else_is_known(last: int, fires: bool) -> None:
    """A plain list that grows: from a hundred jobs on, with less confidence."""
    window = over(lambda part: {"ready": round(20 + (last - 20) * part)}, system="list")
    found = never(window)
    assert bool(found) is fires
    assert all(f.confidence is Confidence.MEDIUM for f in found)


@pytest.mark.parametrize(("age", "severity"), [(1799.0, "HIGH"), (1800.0, "CRITICAL")])
def test_backlog_is_critical_after_half_an_hour(age: float, severity: str) -> None:
    """The oldest job waits that long."""
    assert only(never(growing(400, 500, oldest=age, **BUSY))).severity.name == severity


def test_backlog_names_how_many_workers_are_needed_with_its_sum() -> None:
    """4 slots do 5 per second, 15 come: 4 x 15 / 5 x 1.2 = 14.4, that is 15."""
    finding = only(never(growing(400, 500, oldest=45.0, **BUSY)))
    assert finding.summary == (
        "rq mail never drains: 500 jobs wait, 15.0/s come, 5.0/s are done; "
        "it needs 15 workers, 4 are at work"
    )
    assert finding.explains == {"queue.workers:rq mail": 1.0}
    assert finding.waits_for == {}
    assert finding.confidence is Confidence.HIGH
    (needed,) = (e for e in finding.evidence if e.fact == "workers needed")
    assert (needed.value, needed.unit) == (15.0, "= ceil(4 x 15.0 / 5.0 x 1.2)")
    assert finding.fixes[0].commands == (
        "# 4 at work do 5.0/s, 15.0/s come",
        "# 4 x 15.0 / 5.0 x 1.2 = 15",
        "# the fifth above works off the 500 in 3 min",
        "rq worker mail",
    )


def test_backlog_counts_busy_slots_where_none_are_told() -> None:
    """Celery tells how many tasks run: while others wait that is what its workers can do."""
    window = growing(400, 500, system="celery", in_flight=2, consumers=1)
    assert "it needs 8 workers, 2 are at work" in only(never(window)).summary


def test_backlog_leaves_other_causes_to_their_checks() -> None:
    """No workers, a pause, idle workers."""
    assert not never(growing(400, 500, oldest=45.0, consumers=0))
    assert not never(growing(400, 500, oldest=45.0, paused=True, **BUSY))
    assert not never(growing(400, 500, oldest=45.0, slots=4, consumers=4, in_flight=1))


LOCKED = sessions(*(waiting(i, 9, application="celery worker") for i in range(3)), active(9, "web"))
AT_WORK = sessions(*(active(i, "rq-worker") for i in range(3)))


def test_backlog_behind_a_lock_of_the_database_needs_no_workers() -> None:
    """Three of four slots wait for a lock: the finding is a symptom of whoever holds it."""
    finding = only(never(growing(400, 500, oldest=45.0, **BUSY), LOCKED))
    assert finding.waits_for == {"postgres.locks": 0.75}
    assert "75% of its busy workers (celery worker) wait for a lock" in finding.summary
    assert "more workers do not help" in finding.summary
    assert "add no workers" in finding.fixes[0].title
    (use,) = uses(growing(400, 500, oldest=45.0, **BUSY), LOCKED)
    assert use.waits_for == {"postgres.locks": 0.75}


@pytest.mark.parametrize(
    ("blocked", "starved"), [(0, False), (1, False), (2, True), (7, True), (8, False)]
)
def test_backlog_of_workers_without_a_name(blocked: int, starved: bool) -> None:
    """Four are busy, and about as many sessions without a name wait for a lock: these are they."""
    found = sessions(*(waiting(i, 99, application="") for i in range(blocked)), active(99, "web"))
    finding = only(never(growing(400, 500, oldest=45.0, **BUSY), found))
    assert bool(finding.waits_for) is starved
    assert ("as it seems, sessions of web without a name" in finding.summary) is starved
    assert ("more workers do not help" in finding.summary) is starved


@pytest.mark.parametrize(("blocked", "starved"), [(1, False), (2, True)])
def test_backlog_is_starved_from_half_of_its_slots(blocked: int, starved: bool) -> None:
    """One of four waits for a lock: too few workers; two of four: the database."""
    found = sessions(*(waiting(i, 9, application="rq") for i in range(blocked)), active(9, "web"))
    finding = only(never(growing(400, 500, oldest=45.0, **BUSY), found))
    assert bool(finding.waits_for) is starved


def test_backlog_while_the_database_has_room_needs_workers() -> None:
    """Workers in statements that do not wait; other applications' locks are not theirs."""
    assert "it needs 15" in only(never(growing(400, 500, oldest=45.0, **BUSY), AT_WORK)).summary
    others = sessions(*(waiting(i, 9, application="web") for i in range(3)), idle(4, "rq"))
    assert "it needs 15" in only(never(growing(400, 500, oldest=45.0, **BUSY), others)).summary


def test_backlog_behind_the_full_cores_of_the_database() -> None:
    """The database is on this host, its cores are full and tasks queue for them."""
    info = HostInfo(cores=2, memory=8 << 30, container=False)
    local = replace(SERVER, local=True)
    window = growing(400, 500, oldest=45.0, **BUSY)
    finding = only(backlog(window, AT_WORK, local, cpu(2.0, 8), info, None))
    assert finding.waits_for == {"host.cpu": 0.75}
    assert "full cores" in finding.summary
    assert not only(backlog(window, AT_WORK, local, cpu(1.0, 1), info, None)).waits_for
    assert not only(backlog(window, AT_WORK, SERVER, cpu(2.0, 8), info, None)).waits_for


def cpu(cores: float, running: int) -> Window[CpuTimes]:
    """Busy cores and runnable tasks over ten seconds."""

    def times(busy: float) -> CpuTimes:
        return CpuTimes(busy, 0.0, 0.0, 0.0, (), running, 0, None, None, None)

    return Window.of(times(0.0), times(cores * 10), every=10.0)


def test_the_use_of_slots() -> None:
    """Jobs in flight of the slots; saturated only when jobs wait long."""
    (use,) = uses(still(ready=8, oldest=60.0, **BUSY))
    assert (use.used, use.limit, use.unit, use.state) == (4.0, 4.0, "slots", State.SATURATED)
    assert use.subject == "rq mail"
    (young,) = uses(still(ready=8, oldest=59.0, **BUSY))
    assert young.state is State.BUSY
    (roomy,) = uses(still(slots=8, in_flight=2))
    assert (roomy.state, roomy.multiple) == (State.OK, 4.0)


def test_the_use_of_measured_capacity() -> None:
    """Without slots: arrivals over what was done while jobs waited all the time."""
    (use,) = uses(growing(400, 500, system="celery", in_flight=2, consumers=1))
    assert (use.used, use.limit, use.unit, use.state) == (15.0, 5.0, "jobs/s", State.SATURATED)
    assert use.detail == (
        "500 jobs wait, 2 min for a new one; 15.0/s come, 5.0/s are done: never drains"
    )
    assert uses(growing(0, 100, system="celery")) == []


def test_the_use_of_a_queue_without_workers() -> None:
    """Full, whatever the depth."""
    (use,) = uses(still(ready=8, oldest=40.0, consumers=0, slots=0))
    assert (use.state, use.detail) == (State.SATURATED, "8 jobs wait and nobody takes them")


def test_a_window_of_one_reading_gives_no_trend() -> None:
    """One shot: ages count, rates do not."""
    window = Window.of(Queues((queue(ready=500, oldest=400.0, **BUSY),)))
    assert not never(window)
    assert only(latency(window)).severity is Severity.HIGH


def test_a_counter_in_steps_gives_its_true_rate() -> None:
    """Heartbeats every two seconds, the first after half a second: 20 tasks in 8 seconds."""
    window = over(
        lambda part: {"done": None if part < 0.05 else 5.0 * int((part * 10 - 0.5) // 2)}, ready=9
    )
    finding = only(latency(window, medium=3.0))
    assert "2.5/s are done" in finding.summary


def test_every_fix_can_be_pasted_and_undone() -> None:
    """Risk, verification and undo, for all findings of this file's windows."""
    found = [
        *no_workers(still(ready=3, oldest=90.0, consumers=0)),
        *latency(still(ready=1, oldest=90.0)),
        *never(growing(400, 500, oldest=45.0, **BUSY)),
        *never(growing(400, 500, oldest=45.0, **BUSY), LOCKED),
        *dead(still(dead=100)),
        *retry_storm(still(retrying=50)),
        *stuck_in_flight(still(stuck=1)),
        *visibility_timeout(still(held=50.0, timeout=60.0)),
        *prefetch_hoard(still(reserved=4, idle=1)),
    ]
    fixes: list[Fix] = [fix for finding in found for fix in finding.fixes]
    assert len(fixes) >= 9
    assert all(fix.commands and fix.risk and fix.verify and fix.undo for fix in fixes)


def test_names_of_other_databases_and_odd_names_are_quoted() -> None:
    """A name is data: in a command it is one word."""
    odd = Queue(system="rq", name="a; rm -rf /@3", ready=3, oldest=90.0, consumers=0)
    finding = only(no_workers(Window.of(Queues((odd,)))))
    assert finding.fixes[0].commands == ("rq worker 'a; rm -rf /'",)
