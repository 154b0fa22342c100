"""Checks on RabbitMQ's queues and consumers at their thresholds, on plain facts."""

from dataclasses import replace
from typing import Any

import pytest

from scaledoctor.sdk import Confidence, Kind, Severity, Unavailable, Window
from scaledoctor.sources.rabbitmq import RabbitPolicies, RabbitPolicy
from scaledoctor_checks.queues.rabbitmq_consumers import unacked_hoard, unlimited_prefetch
from scaledoctor_checks.queues.rabbitmq_policies import no_dead_letters, unbounded
from scaledoctor_checks.queues.rabbitmq_prefetch import prefetch_hoard
from scaledoctor_checks.queues.rabbitmq_redelivery import requeue_loop
from tests.checks.queue_facts import only
from tests.checks.rabbitmq_facts import (
    NODES,
    consumer,
    consumers,
    nodes,
    over,
    queue,
    queues,
    rules,
)


def said(found: Any) -> list[str]:
    """Severities in order."""
    return [f.severity.name for f in found]


HELD = {"unacked": 300, "delivered": 300}

QUIET_HOARDS: dict[str, Any] = {
    "nothing held": over({"acked": 0}),
    "99 held": over({}, unacked=99, delivered=99),
    "acknowledged now and then": over({"acked": 1, "delivered": 1}, **HELD),
    "a hundred workers with long jobs": over({}, unacked=100, consumers=11),
    "young": over({}, head=29.0, **HELD),
    "nobody holds them": over({}, consumers=0, **HELD),
    "acknowledgements are not told": over({}, unacked=300, acked=None),
    "counters were reset": Window.of(
        queues(queue(unacked=300, acked=9)), queues(queue(unacked=300, acked=0)), every=10.0
    ),
    "a stream": over({}, kind="stream", **HELD),
    "only for a moment": Window.of(
        queues(queue(unacked=300)), queues(queue(unacked=0)), queues(queue(unacked=300)), every=5.0
    ),
}


@pytest.mark.parametrize("window", QUIET_HOARDS.values(), ids=QUIET_HOARDS)
def test_what_is_no_hoard(window: Any) -> None:
    assert not list(unacked_hoard(window, consumers(consumer())))


def test_a_hoard_names_its_holder() -> None:
    other = queue(name="other", ready=700)
    finding = only(unacked_hoard(over({}, other, head=30.0, **HELD), consumers(consumer())))
    assert finding.subject == "rabbitmq mail"
    assert finding.summary == (
        "worker holds 300 messages of mail and acknowledged none in 10.0 s; it has no prefetch "
        "limit"
    )
    assert (finding.severity, finding.confidence) == (Severity.HIGH, Confidence.HIGH)
    assert finding.explains == {"queue.workers:rabbitmq mail": 1.0}
    assert finding.impact == pytest.approx(0.3)


def test_a_hoard_within_a_limit_may_be_long_jobs() -> None:
    found = unacked_hoard(over({}, **HELD), consumers(consumer(prefetch=500)))
    finding = only(found)
    assert (finding.severity, finding.confidence) == (Severity.MEDIUM, Confidence.MEDIUM)
    assert only(unacked_hoard(over({}, **HELD), None)).confidence is Confidence.MEDIUM


def test_a_hoard_is_not_laid_at_the_door_of_who_has_no_room_for_it() -> None:
    both = consumers(consumer(who="quick", prefetch=1), consumer(who="slow", prefetch=1000))
    finding = only(unacked_hoard(over({}, consumers=2, **HELD), both))
    assert finding.summary == "slow holds 299 messages of mail and acknowledged none in 10.0 s"
    assert finding.fixes[0].title.startswith("Let slow acknowledge")
    assert [e.fact for e in finding.evidence if "prefetch" in e.fact] == ["prefetch of slow"]
    alike = consumers(consumer(who="a", prefetch=200), consumer(who="b", prefetch=200))
    finding = only(unacked_hoard(over({}, consumers=2, **HELD), alike))
    assert finding.summary.startswith("its consumers hold 300 messages of mail and ack")
    many = consumers(consumer(count=3))
    finding = only(unacked_hoard(over({}, consumers=3, **HELD), many))
    assert finding.summary.startswith("the 3 consumers of worker hold 300 messages")


GREEDY = consumers(consumer(who="quick", prefetch=1), consumer(who="slow", prefetch=1000))
SLOW: dict[str, Any] = {"unacked": 101, "delivered": 101, "consumers": 2, "head": 30.0}


@pytest.mark.parametrize(
    ("grown_by", "changes", "fires"),
    [
        ({"acked": 90}, {}, True),
        ({"acked": 90}, {"unacked": 100}, False),  # of which the other one may hold one
        ({"acked": 90}, {"head": 29.0}, False),
        ({"acked": 90}, {"ready": 101}, False),  # then everybody sees the backlog
        ({"acked": 33}, {"head": None}, True),
        ({"acked": 34}, {"head": None}, False),
        ({"acked": 0}, {}, False),  # that is unacked-hoard
    ],
)
def test_prefetch_hoard(grown_by: dict[str, int], changes: dict[str, Any], fires: bool) -> None:
    assert bool(list(prefetch_hoard(over(grown_by, **SLOW | changes), GREEDY))) is fires


def test_no_prefetch_hoard_without_idle_hands_or_with_a_sound_prefetch() -> None:
    window = over({"acked": 90}, **SLOW)
    assert not list(prefetch_hoard(window, consumers(consumer(prefetch=1000))))
    assert not list(prefetch_hoard(window, consumers(consumer(prefetch=60, count=2))))
    assert not list(prefetch_hoard(window, consumers(consumer(prefetch=20, count=9))))
    finding = only(prefetch_hoard(window, GREEDY))
    assert finding.summary == (
        "slow holds at least 100 messages of mail, which wait 30.0 s and more in its hands; the "
        "queue itself looks empty"
    )
    assert finding.fixes[0].title == "Hand slow at most 20 messages of mail at once"
    assert finding.explains == {"queue.workers:rabbitmq mail": pytest.approx(0.99, abs=0.01)}


@pytest.mark.parametrize("run", [
    lambda w: unacked_hoard(w, None), lambda w: requeue_loop(w, None),
], ids=["hoard", "loop"])  # fmt: skip
def test_a_short_window_is_skipped_and_not_quiet(run: Any) -> None:
    with pytest.raises(Unavailable, match="every 5 s"):
        list(run(over({}, seconds=8.0)))


@pytest.mark.parametrize(
    ("count", "unacked", "severity"), [(1, 999, "LOW"), (2, 5, "MEDIUM"), (1, 1000, "MEDIUM")]
)
def test_unlimited_prefetch(count: int, unacked: int, severity: str) -> None:
    window = over({"acked": 9}, consumers=count, unacked=unacked)
    assert said(unlimited_prefetch(consumers(consumer(count=count)), window)) == [severity]


def test_unlimited_prefetch_that_is_none() -> None:
    """A limit, no acknowledgements, one at a time, or already told as a hoard."""
    busy = over({"acked": 9}, unacked=9)
    for other in (consumer(prefetch=1), consumer(acks=False), consumer(queue="gone")):
        assert not list(unlimited_prefetch(consumers(other), busy))
    alone = over({"acked": 9}, rules=rules(one_at_a_time=True))
    assert not list(unlimited_prefetch(consumers(consumer()), alone))
    assert not list(unlimited_prefetch(consumers(consumer()), over({}, **HELD)))
    assert said(unlimited_prefetch(consumers(consumer()), over({}, seconds=2.0, **HELD))) == ["LOW"]


@pytest.mark.parametrize(
    ("again", "delivered", "severity"),
    [(0, 500, None), (9, 20, None), (10, 101, None), (10, 100, "MEDIUM"), (49, 100, "MEDIUM"),
     (50, 100, "HIGH"), (2100, 2100, "HIGH")],
)  # fmt: skip
def test_requeue_loop(again: int, delivered: int, severity: str | None) -> None:
    """From one a second and a tenth of the deliveries; high from half of them."""
    window = over({"redelivered": again, "delivered": delivered}, ready=2)
    found = list(requeue_loop(window, None))
    assert said(found) == ([severity] if severity else [])
    if found:
        assert found[0].explains == {"queue.workers:rabbitmq mail": again / delivered}


def test_a_loop_takes_its_share_of_all_deliveries() -> None:
    first = queues(queue(vhost="shop"), queue(name="calm"))
    last = queues(
        queue(vhost="shop", redelivered=300, delivered=400), queue(name="calm", delivered=200)
    )
    finding = only(requeue_loop(Window.of(first, last, every=10.0), None))
    assert finding.subject == "rabbitmq mail@shop"
    assert finding.summary == (
        "75% of what mail@shop hands out was handed out before: 30/s come back, 0.0/s are done"
    )
    assert finding.impact == pytest.approx(0.5)


def test_counters_that_are_absent_are_not_zero() -> None:
    window = over({}, redelivered=None, delivered=None, acked=None)
    assert not list(requeue_loop(window, None))


def fixes_of_loop(policies: RabbitPolicies | None, **same: Any) -> tuple[Any, ...]:
    window = over({"redelivered": 90, "delivered": 90}, **same)
    return only(requeue_loop(window, policies)).fixes


def test_a_loop_on_a_quorum_queue_gets_a_delivery_limit() -> None:
    (fix,) = fixes_of_loop(None, kind="quorum")
    assert '"delivery-limit": 5' in fix.commands[1]
    kept = rules(delivery_limit=3, dead_letters="dlx")
    assert fixes_of_loop(None, kind="quorum", rules=kept) == ()


def test_a_loop_on_a_classic_queue_ends_in_the_consumer_and_keeps_what_it_rejects() -> None:
    (fix,) = fixes_of_loop(None)
    assert fix.title == (
        "Reject what mail's consumers cannot process, instead of requeueing it: first a place for "
        "it"
    )
    assert [c.split()[0] for c in fix.commands[:2]] == ["curl", "rabbitmqctl"]
    assert all(line.startswith("# ") for line in fix.commands[2:])
    assert "# channel.basic_nack(tag, requeue=False)   # Python, pika" in fix.commands
    (known,) = fixes_of_loop(None, rules=rules(dead_letters="dlx"))
    assert known.commands[0].startswith("channel.basic_nack")


def test_a_new_policy_repeats_the_old_one() -> None:
    """Only the policy of the highest priority holds for a queue."""
    old = RabbitPolicy("shop", "short", ".*", "queues", 7, '{"message-ttl": 60000}')
    (fix,) = fixes_of_loop(RabbitPolicies((old,)), vhost="shop", name="a.b c", policy="short")
    assert fix.commands[:2] == (
        "curl -u ADMINISTRATOR -X PUT -H 'Content-Type: application/json' "
        "-d '{\"durable\": true}' http://localhost:15672/api/queues/shop/a.b%20c.dlq",
        "rabbitmqctl set_policy -p shop --apply-to queues --priority 8 scaledoctor-a.b-c "
        '\'^a\\.b\\ c$\' \'{"dead-letter-exchange": "", "dead-letter-routing-key": '
        '"a.b c.dlq", "message-ttl": 60000}\'',
    )
    assert fix.undo == "rabbitmqctl clear_policy -p shop scaledoctor-a.b-c  # and requeue=True"
    (unread,) = fixes_of_loop(None, policy="short")
    assert unread.risk.startswith("it takes the place of the policy short")


WORKED = {"delivered": 5, "acked": 5}


def test_queues_that_need_no_dead_letters() -> None:
    """With an exchange, without consumers, temporary, never delivered, itself such a queue."""
    cases: tuple[dict[str, Any], ...] = (
        {"rules": rules(dead_letters="")}, {"consumers": 0}, {"temporary": True},
        {"delivered": 0}, {"buries": ("x",)}, {"kind": "stream"},
    )  # fmt: skip
    for same in cases:
        assert not list(no_dead_letters(over({}, **{**WORKED, **same}), None))


def test_queues_without_dead_letters_are_told_together() -> None:
    others = [queue(name=f"q{i:02}", delivered=1) for i in range(12)]
    finding = only(no_dead_letters(over({}, *others, **WORKED), None))
    assert finding.subject == "virtual host /"
    assert (finding.severity, finding.kind) == (Severity.LOW, Kind.RISK)
    assert "13 queues" in finding.summary
    (fix,) = finding.fixes
    assert "^(mail|q00|" in fix.commands[1]
    assert "q08" in fix.commands[1]
    assert "q09" not in fix.commands[1]


def test_queues_whose_messages_come_back_need_them_more() -> None:
    window = over({"redelivered": 4}, queue(name="calm", delivered=9), **WORKED)
    finding = only(no_dead_letters(window, None))
    assert finding.severity is Severity.MEDIUM
    assert "dead-letter exchange: mail, calm" in finding.summary
    both = over(
        {}, queue(vhost="b", delivered=1), queue(policy="p", name="x", delivered=1), **WORKED
    )
    first, second = no_dead_letters(both, None)
    assert (first.subject, second.subject) == ("virtual host /", "virtual host b")
    assert len(first.fixes) == 2  # one for each policy that holds now


@pytest.mark.parametrize(
    ("held", "severity"), [(249, None), (250, "MEDIUM"), (499, "MEDIUM"), (500, "HIGH")]
)
def test_unbounded(held: int, severity: str | None) -> None:
    """Megabytes of a limit of a thousand."""
    table = queues(queue(bytes=held * 1_000_000))
    assert said(unbounded(table, NODES, None)) == ([severity] if severity else [])


@pytest.mark.parametrize("limit", [
    {"ttl": 60.0}, {"max_length": 9}, {"max_bytes": 9}, {"max_age": "7D"},
], ids=str)  # fmt: skip
def test_bounded(limit: dict[str, Any]) -> None:
    table = queues(queue(bytes=900_000_000, rules=rules(**limit)))
    assert not list(unbounded(table, NODES, None))


def test_unbounded_by_disk_and_streams() -> None:
    quorum = queue(kind="quorum", bytes=900_000_000)
    assert not list(unbounded(queues(quorum), NODES, None))
    full = nodes(disk_free=2_000_000_000)
    assert "45% of the free disk" in only(unbounded(queues(quorum), full, None)).summary
    stream = queue(kind="stream", ready=5, bytes=None)
    assert only(unbounded(queues(stream), NODES, None)).severity is Severity.LOW
    kept = replace(stream, rules=rules(max_age="7D"))
    assert not list(unbounded(queues(kept, replace(stream, ready=0)), NODES, None))


@pytest.mark.parametrize("run", [
    lambda w: unacked_hoard(w, None),
    lambda w: requeue_loop(w, None),
    lambda w: no_dead_letters(w, None),
    lambda w: unlimited_prefetch(consumers(), w),
    lambda w: unbounded(w.last, NODES, None),
], ids=["hoard", "loop", "dead-letters", "prefetch", "unbounded"])  # fmt: skip
def test_without_statistics_a_check_is_skipped_and_not_quiet(run: Any) -> None:
    bare = Window.of(*[replace(queues(queue()), statistics=False)] * 3, every=5.0)
    with pytest.raises(Unavailable, match="keeps no statistics"):
        list(run(bare))
