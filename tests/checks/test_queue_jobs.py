"""Jobs that fail, are lost, held too long or hoarded, at their thresholds, on plain facts."""

import pytest

from scaledoctor.sdk import Kind, Severity, Unavailable, Window
from scaledoctor.sources.queues import ALL, Queues, Unread
from scaledoctor_checks.queues._flow import flows
from scaledoctor_checks.queues._words import course
from scaledoctor_checks.queues.blind_spots import name_unknown, not_all_seen
from scaledoctor_checks.queues.dead import dead
from scaledoctor_checks.queues.no_workers import no_workers
from scaledoctor_checks.queues.prefetch import prefetch_hoard
from scaledoctor_checks.queues.retry_storm import retry_storm
from scaledoctor_checks.queues.stuck import stuck_in_flight
from scaledoctor_checks.queues.visibility import visibility_timeout
from tests.checks.queue_facts import only, over, queue, still


@pytest.mark.parametrize(
    ("grown", "done", "severity"),
    [(4, 10, "LOW"), (5, 51, "LOW"), (5, 50, "HIGH"), (5, 5, "HIGH"), (1, 1, "LOW")],
)
def test_dead_by_growth_and_share(grown: int, done: int, severity: str) -> None:
    """Five, and a tenth of the jobs done."""
    window = over(lambda part: {"dead": round(7 + grown * part), "done": done * part})
    finding = only(dead(window))
    assert finding.severity.name == severity
    assert finding.kind is Kind.LIVE


def test_a_share_of_dead_jobs_is_not_made_of_too_few_done() -> None:
    """More failed than are counted as done: the count is short."""
    finding = only(dead(over(lambda part: {"dead": round(8 * part), "done": 5 * part})))
    assert "of those done" not in finding.summary
    assert [e.value for e in finding.evidence if "share" in e.fact] == ["not known"]


def test_dead_is_high_where_nothing_else_is_counted() -> None:
    """Dead letters of a broker: there each one counts."""
    assert only(dead(over(lambda part: {"dead": round(5 * part)}))).severity is Severity.HIGH


@pytest.mark.parametrize(("count", "fires"), [(99, False), (100, True)])
def test_old_dead_jobs_are_a_risk(count: int, fires: bool) -> None:
    """A hundred and more."""
    found = list(dead(still(dead=count)))
    assert [f.kind for f in found] == ([Kind.RISK] if fires else [])


@pytest.mark.parametrize(
    ("again", "ready", "fires"), [(19, 0, False), (20, 19, True), (20, 20, False), (50, 49, True)]
)
def test_retry_storm(again: int, ready: int, fires: bool) -> None:
    """Twenty, and more than wait for their first try."""
    assert bool(list(retry_storm(still(retrying=again, ready=ready, oldest=1.0)))) is fires


def test_retries_that_get_fewer_are_no_storm() -> None:
    """They are being worked off."""
    assert not list(retry_storm(over(lambda part: {"retrying": round(100 - 2 * part)})))


def test_retries_of_all_queues_are_compared_with_all_of_them() -> None:
    """Sidekiq keeps one set for all."""
    other = queue(system="sidekiq", name="low", ready=60)
    window = still(other, system="sidekiq", name=ALL, retrying=50)
    assert not list(retry_storm(window))


@pytest.mark.parametrize(("count", "fires"), [(0, False), (1, True)])
def test_stuck_in_flight(count: int, fires: bool) -> None:
    """One is enough, when it stays."""
    window = still(system="celery", stuck=count, in_flight=0, held=100.0, timeout=3600.0)
    found = list(stuck_in_flight(window))
    assert [f.summary for f in found] == (
        ["1 job of celery mail are held by workers that are gone, the oldest for 2 min; they come "
         "back after 60 min"] if fires else []
    )  # fmt: skip


def test_stuck_for_a_moment_is_no_finding() -> None:
    """A lock that is renewed late."""
    assert not list(stuck_in_flight(over(lambda part: {"stuck": int(part < 0.6)})))


def test_stuck_while_not_known() -> None:
    """A system may need a while to tell: what it says then counts."""
    window = over(lambda part: {"stuck": None if part < 0.8 else 3})
    assert "3 jobs" in only(stuck_in_flight(window)).summary


def test_stuck_without_any_worker_is_a_symptom_of_that() -> None:
    """The queue as a whole stands still."""
    finding = only(stuck_in_flight(still(ready=3, stuck=8, consumers=0)))
    assert finding.waits_for == {"queue.workers:rq mail": 1.0}
    alone = only(stuck_in_flight(still(system="stream", name="a/b", stuck=8, consumers=0)))
    assert alone.waits_for == {}
    assert alone.fixes[0].commands[0].startswith("redis-cli XAUTOCLAIM a b ")


@pytest.mark.parametrize(
    ("held", "kind"), [(1799.0, None), (1800.0, "RISK"), (3599.0, "RISK"), (3600.0, "LIVE")]
)
def test_visibility_timeout(held: float, kind: str | None) -> None:
    """From half of it on a risk, beyond it a cost."""
    window = still(system="celery", held=held, timeout=3600.0, consumers=1, in_flight=1)
    found = list(visibility_timeout(window))
    assert [f.kind.name for f in found] == ([kind] if kind else [])
    assert all("visibility_timeout': 7200" in f.fixes[0].commands[0] for f in found)


def test_visibility_timeout_without_workers_is_anothers_finding() -> None:
    """queue.stuck-in-flight tells it; and without a time-out there is nothing to tell."""
    assert not list(visibility_timeout(still(held=3000.0, timeout=3600.0, consumers=0)))
    assert not list(visibility_timeout(still(held=3000.0)))


@pytest.mark.parametrize(
    ("reserved", "idle_workers", "ready", "fires"),
    [(3, 1, 0, True), (2, 1, 0, False), (3, 0, 0, False), (3, 1, 1, False)],
)
def test_prefetch_hoard(reserved: int, idle_workers: int, ready: int, fires: bool) -> None:
    """Three jobs in one hand, one hand empty, nothing left to take."""
    window = still(system="celery", ready=ready, reserved=reserved, idle=idle_workers, consumers=2)
    found = list(prefetch_hoard(window))
    assert bool(found) is fires
    assert all(f.impact == pytest.approx(0.5) for f in found)


@pytest.mark.parametrize(("part", "fires"), [(0.55, False), (0.45, True)])
def test_prefetch_hoard_for_half_of_the_window(part: float, fires: bool) -> None:
    """A moment at its end is none."""
    window = over(lambda at: {"idle": int(at >= part)}, reserved=4, consumers=2)
    assert bool(list(prefetch_hoard(window))) is fires


def test_what_was_not_looked_at_is_said() -> None:
    """The budget ended before the keys did; other systems have no keys."""
    assert not list(not_all_seen(Queues((queue(),))))
    keys = only(not_all_seen(Queues((queue(),), complete=False)))
    assert keys.kind is Kind.BLIND_SPOT
    assert "--redis" in keys.fixes[0].commands[0]
    tables = only(not_all_seen(Queues((queue(system="oban"),), complete=False)))
    assert "keys" not in tables.summary
    assert "--redis" not in tables.fixes[0].commands[0]


def test_what_no_queue_tells_is_not_ruled_out() -> None:
    """SQS tells how many are held, not since when, by whom, or whether anybody has begun."""
    sqs = still(system="sqs", ready=3, in_flight=2, timeout=30.0)
    for check in (stuck_in_flight, visibility_timeout, prefetch_hoard, no_workers):
        with pytest.raises(Unavailable, match="sqs") as skipped:
            list(check(sqs))
        assert "Redis" not in skipped.value.enable
    nothing_held = still(system="sqs", in_flight=0, timeout=30.0)
    assert not list(visibility_timeout(nothing_held))
    for check in (stuck_in_flight, visibility_timeout, prefetch_hoard, no_workers):
        assert not list(check(over(lambda part: {}, seconds=1.0, stuck=0, reserved=0)))


@pytest.mark.parametrize(("consumers", "fires"), [(None, True), (3, True), (2, False), (1, False)])
def test_no_prefetch_hoard_where_nobody_is_busy(consumers: int | None, fires: bool) -> None:
    """What a killed worker left is in nobody's hands."""
    window = still(reserved=12, idle=2, consumers=consumers)
    assert bool(list(prefetch_hoard(window))) is fires


def test_one_look_says_nothing_of_rates() -> None:
    """Neither that it never drains."""
    (flow,) = flows(Window.of(Queues((queue(ready=430, in_flight=3, slots=3),)), every=1.0))
    assert course(flow) == "one look tells no rate"


@pytest.mark.parametrize(
    ("reason", "severity"),
    [("it is a hash, no list, set, sorted set or stream", "LOW"),
     ("there is no such key now: it is empty", "INFO")],
)  # fmt: skip
def test_a_name_that_is_no_queue(reason: str, severity: str) -> None:
    right = Queues((queue(),))
    wrong = Queues((queue(),), misnamed=(Unread("mial", reason, "redis-cli -n 0 TYPE mial"),))
    for calm in (Window.of(right, right, every=1.0), Window.of(right, wrong, every=1.0)):
        assert not list(name_unknown(calm))  # jobs came and went within the window
    finding = only(name_unknown(Window.of(wrong, wrong, every=1.0)))
    assert finding.severity.name == severity
    assert finding.kind is Kind.BLIND_SPOT
    assert finding.summary == f"--queue mial: {reason}"
    assert finding.fixes[0].commands[0] == "redis-cli -n 0 TYPE mial"


@pytest.mark.parametrize(("count", "words"), [(0, "no queue was"), (1, "1 queue was"),
                                              (2, "2 queues were")])  # fmt: skip
def test_how_many_were_found(count: int, words: str) -> None:
    finding = only(not_all_seen(Queues(tuple(queue() for _ in range(count)), complete=False)))
    assert finding.summary == f"{words} found before the look at the keys ended early"
