"""What a real RabbitMQ tells, to users who may see more or less; absent is never zero."""

from dataclasses import replace
from typing import Any

import pytest

from scaledoctor.collect import collect
from scaledoctor.demo.servers import rabbitmq
from scaledoctor.examine import examine
from scaledoctor.redact import Redactor
from scaledoctor.registry import load
from scaledoctor.snapshot import Record, dumps, loads
from scaledoctor.sources.queues import Queue, Queues
from scaledoctor.sources.rabbitmq import (
    RabbitClients,
    RabbitHidden,
    RabbitQueue,
    RabbitQueues,
    RabbitRules,
    _pages,
)
from scaledoctor.sources.rabbitmq.clients import label_of
from scaledoctor.sources.rabbitmq.rows import DEAD
from scaledoctor.sources.rabbitmq.session import tags_of
from scaledoctor.targets import targets
from tests.rabbit import Broker, Channel, consumer, never, publish, slowly
from tests.servers import needs_servers

REGISTRY = load()


def look(url: str, window: float = 0.0) -> Record:
    """One look at one broker, as the command line takes it; it comes back from JSON unchanged."""
    found = [t for t in targets({"rabbitmq": (url,)}, {}) if t.kind == "rabbitmq"]
    snapshot = collect(found, REGISTRY, Redactor(), window)
    again = loads(dumps(snapshot), REGISTRY.facts)
    (record,) = again.records
    assert record == snapshot.records[0]
    assert record.failures == ()
    assert examine(again, REGISTRY).failures == []
    return record


def fact(record: Record, name: str) -> Any:
    return record.samples[name][-1][1]


def rows(record: Record) -> dict[str, RabbitQueue]:
    found: RabbitQueues = fact(record, "RabbitQueues")
    return {queue.name: queue for queue in found.queues}


@pytest.fixture(scope="module")
def place(broker: Broker) -> str:
    """A virtual host with a queue of each kind, and rules by argument and by policy."""
    url = broker.vhost("facts")
    rules = {"dead-letter-exchange": "graves", "message-ttl": 60_000}
    broker.put("policies/facts/rules", {"pattern": "^ruled", "definition": rules,
                                        "apply-to": "queues", "priority": 2})  # fmt: skip
    with broker.channel("facts") as channel:
        channel.exchange_declare("graves", "fanout", durable=True)
        channel.exchange_declare("direct", "direct", durable=True)
        for name, arguments in {
            "plain": {},
            "ruled": {"x-message-ttl": 5_000, "x-max-length": 9},
            "grave": {},
            "rejecting": {"x-dead-letter-exchange": "graves"},
            "quorum": {"x-queue-type": "quorum", "x-delivery-limit": 4},
            "stream": {"x-queue-type": "stream", "x-max-age": "7D"},
            "alone": {"x-single-active-consumer": True},
            "wait": {"x-message-ttl": 900_000, "x-dead-letter-exchange": "",
                     "x-dead-letter-routing-key": "plain"},
            "keyed": {"x-dead-letter-exchange": "direct", "x-dead-letter-routing-key": "b"},
            "a": {}, "b": {}, "idle.dlq": {},
        }.items():  # fmt: skip
            channel.queue_declare(name, durable=True, arguments=arguments)
        channel.queue_bind("grave", "graves")
        for name in ("a", "b"):
            channel.queue_bind(name, "direct", routing_key=name)
        publish(channel, "plain", 4, age=100)
        publish(channel, "b", 3)
        for name in ("wait", "grave", "stream"):
            publish(channel, name, 2)
    broker.until("queues/facts/b", lambda q: q.get("messages_ready") == 3)
    broker.until("queues/facts/stream", lambda q: q.get("messages_ready") == 2)
    return url


@pytest.mark.live
def test_rules_are_the_arguments_then_the_policy(place: str) -> None:
    found = rows(look(place))
    ruled = found["ruled"].rules
    assert (ruled.ttl, ruled.max_length, ruled.dead_letters) == (5.0, 9, "graves")
    assert found["ruled"].policy == "rules"
    assert found["quorum"].rules.delivery_limit == 4
    assert (found["quorum"].kind, found["quorum"].members, found["quorum"].online) == (
        "quorum", 1, 1
    )  # fmt: skip
    assert found["stream"].rules.max_age == "7D"
    assert found["alone"].rules.one_at_a_time
    assert not found["plain"].rules.bounded
    assert found["wait"].rules.dead_letters == ""


@pytest.mark.live
def test_dead_letters_are_followed_to_their_queues(place: str) -> None:
    """Through a fanout exchange, a direct one with its key, and the default one.

    What only waits on its way back to its queue does not make that a queue for people.
    """
    found = rows(look(place))
    assert found["ruled"].buried_in == found["rejecting"].buried_in == ("grave",)
    assert found["wait"].buried_in == ("plain",)
    buried = {name: queue.buries for name, queue in found.items() if queue.buries}
    assert buried == {"grave": ("rejecting",), "b": ("keyed",)}
    assert found["wait"].delays
    assert not found["plain"].for_people


@pytest.mark.live
def test_the_shared_model(broker: Broker, place: str) -> None:
    """Work, dead letters and delays are told apart; streams are none of them."""
    nobody = next(q for q in fact(look(place), "Queues").queues if q.name == "plain@facts")
    assert (nobody.ready, nobody.consumers, nobody.dead) == (4, 0, None)
    with broker.clients("facts", plain=consumer("plain", never, prefetch=3)):
        broker.until("queues/facts/plain", lambda q: q.get("messages_unacknowledged") == 3)
        found: Queues = fact(look(place), "Queues")
    queues = {queue.name: queue for queue in found.queues}
    assert found.complete
    assert queues["grave@facts"] == Queue("rabbitmq", "grave@facts", ready=0, dead=2)
    assert queues["b@facts"].dead == 3
    assert queues["idle.dlq@facts"].dead == 0
    assert queues["wait@facts"].scheduled == 2
    assert "stream@facts" not in queues
    plain = queues["plain@facts"]
    assert (plain.ready, plain.in_flight, plain.reserved) == (1, 1, 2)
    assert (plain.slots, plain.consumers) == (1, 1)
    assert plain.oldest is None  # the first message is one of those handed out
    assert (plain.arrived, plain.done) == (4.0, 0.0)


@pytest.mark.live
def test_the_age_is_that_of_the_first_message_that_waits(broker: Broker) -> None:
    url = broker.vhost("aged")
    with broker.channel("aged") as channel:
        channel.queue_declare("mail")
        publish(channel, "mail", 1, age=600)
        publish(channel, "mail", 1)
    broker.until("queues/aged/mail", lambda q: q.get("messages_ready") == 2)
    (queue,) = fact(look(url), "Queues").queues
    assert queue.oldest == pytest.approx(600, abs=60)


@pytest.mark.live
def test_a_queue_without_figures_is_left_out_and_not_empty(broker: Broker) -> None:
    """For the first five seconds RabbitMQ tells nothing of its contents."""
    url = broker.vhost("fresh")
    with broker.channel("fresh") as channel:
        channel.queue_declare("mail")
        record = look(url)
    queue = rows(record)["mail"]
    assert (queue.ready, queue.unacked, queue.published, queue.acked) in (
        (None, None, None, None), (0, 0, None, None)
    )  # fmt: skip
    if queue.ready is None:
        assert fact(record, "Queues").queues == ()


@pytest.mark.live
def test_counters_give_no_rate_over_less_than_two_refreshes(broker: Broker, place: str) -> None:
    """They move in steps of five seconds: what lies between two of them is not told."""
    record = look(place, window=5.0)
    first, second = (next(q for q in s.queues if q.name == "plain@facts")
                     for _, s in record.samples["Queues"])  # fmt: skip
    assert first.arrived == 4.0
    assert second.arrived is None
    assert second.done is None


@pytest.mark.live
def test_consumers_with_their_names_and_limits(broker: Broker, place: str) -> None:
    works = {
        "worker_1": consumer("a", slowly(0.0), prefetch=7),
        "worker_2": consumer("a", slowly(0.0), prefetch=7),
        "greedy": consumer("a", never, prefetch=0),
    }
    with broker.clients("facts", **works):
        broker.until("queues/facts/a", lambda q: q.get("consumers") == 3)
        broker.until("connections", lambda c: len([x for x in c if x.get("vhost")]) >= 3)
        record = look(place)
    found = {(c.who, c.prefetch, c.count) for c in fact(record, "RabbitConsumers").consumers}
    assert {("worker", 7, 2), ("greedy", 0, 1)} <= found
    clients: RabbitClients = fact(record, "RabbitClients")
    assert {(c.name, c.connections) for c in clients.clients} >= {("worker", 2), ("greedy", 1)}


@pytest.mark.live
def test_no_permission_is_not_empty(broker: Broker, place: str) -> None:
    """HTTP 200 and an empty list: the count in the overview gives it away, and a paste mends it."""
    url = broker.user("blind", "monitoring")
    record = look(url)
    hidden: RabbitHidden = fact(record, "RabbitHidden")
    assert hidden.queues >= 11
    assert "facts" in hidden.vhosts
    assert "Queues" not in record.samples
    (skip,) = [s for s in record.skips if s.what == "Queues"]
    assert skip.reason == f"{hidden.queues} queues exist and user blind may see none of them"
    assert skip.enable.startswith("rabbitmqctl set_permissions -p ")
    words = skip.enable.partition(";")[0].replace("'", "").split()
    broker.server.ctl(*words[1:3], "facts", *words[4:])
    assert len(rows(look(url))) >= 11


@pytest.mark.live
def test_the_tag_management_sees_queues_and_alarms_alone(broker: Broker, place: str) -> None:
    record = look(broker.user("manager", "management", "facts"))
    reasons = {s.what: (s.reason, s.enable) for s in record.skips}
    tag = "rabbitmqctl set_user_tags manager monitoring"
    lacks = "it has the tag management, not monitoring"
    assert reasons["RabbitNodes"] == (f"user manager may not see the nodes: {lacks}", tag)
    assert reasons["RabbitClients"] == (f"user manager may not see the connections: {lacks}", tag)
    assert fact(record, "RabbitAlarms").alarms == ()
    assert fact(record, "RabbitHidden").queues == 0
    assert len(rows(record)) >= 11


@pytest.mark.live
def test_every_page_is_read(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = set(rows(look(place)))
    monkeypatch.setattr(_pages, "PER_PAGE", 2)
    assert set(rows(look(place))) == everything


@pytest.mark.live
def test_of_very_many_queues_the_fullest_are_looked_at(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three requests, however many there are; the rest is told as not looked at."""
    monkeypatch.setattr(_pages, "MOST", 3)
    monkeypatch.setattr(_pages, "FULLEST", 2)
    record = look(place)
    found: RabbitQueues = fact(record, "RabbitQueues")
    assert {q.name for q in found.queues} == {"plain", "b"}
    assert found.queues[0].published is not None
    assert found.total >= 11
    assert record.costs["RabbitQueues"].calls <= 3 + 3  # and the bindings, once


@pytest.mark.live
def test_names_are_redacted(broker: Broker) -> None:
    """What clients call themselves, and queues, may hold what nobody shall read."""
    url = broker.vhost("secret")
    with broker.channel("secret", "shop token=hush") as channel:
        channel.queue_declare("mail password=hush", arguments={"x-dead-letter-exchange": "d"})
        broker.until("connections", lambda c: any(x.get("vhost") == "secret" for x in c))
        record = look(url)
    assert "hush" not in repr(record)
    assert "password=***" in "".join(rows(record))


@pytest.mark.live
@pytest.mark.slow
def test_ten_thousand_queues_take_three_requests_a_look() -> None:
    """The last one in the alphabet is seen, because it is the fullest."""
    with needs_servers(), rabbitmq({"vm_memory_high_watermark.absolute": "3GB"}) as server:
        broker = Broker(server)

        def declare(channel: Channel, first: int) -> None:
            for number in range(first, first + 1250):
                channel.queue_declare(f"q{number}")

        works = {
            f"setup_{n}": lambda channel, stop, n=n: declare(channel, n * 1250) for n in range(8)
        }
        with broker.clients("/", **works):
            broker.until(
                "overview", lambda o: o.get("object_totals", {}).get("queues", 0) >= 10_000
            )
        with broker.channel("/") as channel:
            channel.queue_declare("zz")
            publish(channel, "zz", 50, age=600)
        broker.until("queues/%2F/zz", lambda q: q.get("messages_ready") == 50)
        record = look(server.url())
    found: RabbitQueues = fact(record, "RabbitQueues")
    assert (len(found.queues), found.total) == (100, 10_001)
    assert rows(record)["zz"].ready == 50
    assert record.costs["RabbitQueues"].calls == 3


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.parametrize(
    "setting", ["management.disable_stats", "management_agent.disable_metrics_collector"]
)
def test_without_statistics_contents_are_still_read(setting: str) -> None:
    """No consumers, no rates, and the report says so; nothing is taken for zero."""
    with needs_servers(), rabbitmq({setting: "true"}) as server:
        broker = Broker(server)
        with broker.channel("/") as channel:
            channel.queue_declare("mail")
            publish(channel, "mail", 5)
            path = "queues?disable_stats=true&enable_queue_totals=true"
            broker.until(path, lambda q: q[0].get("messages_ready") == 5)
            record = look(server.url())
    queue = rows(record)["mail"]
    assert (queue.ready, queue.consumers, queue.published) == (5, None, None)
    (model,) = fact(record, "Queues").queues
    assert (model.ready, model.consumers, model.slots, model.done) == (5, None, None, None)
    assert not fact(record, "RabbitQueues").statistics


@pytest.mark.parametrize(
    ("name", "dead"),
    [("mail.dlq", True), ("dlq", True), ("DeadLetters", True), ("mail_error", True),
     ("orders-dead-letter-queue", True), ("parking-lot", True), ("failed", True),
     ("deadline", False), ("terror", False), ("headless", False), ("mail", False)],
)  # fmt: skip
def test_names_of_queues_for_people(name: str, dead: bool) -> None:
    assert bool(DEAD.search(name)) is dead


@pytest.mark.parametrize(
    ("name", "host", "label"),
    [("web-1", "", "web"), ("worker.4711", "", "worker"), ("shop-7f9c4d8b", "", "shop"),
     ("web", "", "web"), ("celery@host-2", "", "celery@host"), ("123", "", "123"),
     ("Pika Python Client Library", "10.0.0.7", "Pika Python Client Library at 10.0.0.7"),
     ("", "10.0.0.7", "10.0.0.7"), ("", "", "unnamed"), ("rabbitConnectionFactory#5c0369:0", "",
      "rabbitConnectionFactory#5c0369")],
)  # fmt: skip
def test_instances_of_one_application_have_one_name(name: str, host: str, label: str) -> None:
    assert label_of(name, host) == label


def test_tags_old_and_new() -> None:
    """A list, text with commas before 3.9, or nothing."""
    assert tags_of(["monitoring", "b"]) == tags_of("b, monitoring") == ("b", "monitoring")
    assert tags_of("") == tags_of(None) == ()


WORK = RabbitQueue(
    "/", "mail", "classic", "running", ready=5, unacked=0, consumers=0, buried_in=("grave",),
    rules=RabbitRules(ttl=60.0, dead_letters=""),
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "delays"),
    [
        ({}, True),
        ({"delivered": 1}, False),
        ({"auto_acked": 1}, False),
        ({"consumers": 1}, False),
        ({"buried_in": ("mail.dlq",)}, False),
        ({"rules": RabbitRules(ttl=60.0)}, False),
        ({"rules": RabbitRules(dead_letters="")}, False),
    ],
    ids=str,
)
def test_a_queue_of_work_whose_workers_are_gone_is_no_delay(
    changes: dict[str, Any], delays: bool
) -> None:
    """Else nobody would say that its workers are gone."""
    assert replace(WORK, **changes).delays is delays
