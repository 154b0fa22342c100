"""Each fault put into a real RabbitMQ, in a virtual host of its own, all seen by one look.

The figures change every five seconds, so that a look takes ten: the faults share it. Each is
looked at by a user who may see its virtual host alone.
"""

import subprocess
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from scaledoctor.collect import collect
from scaledoctor.diagnosis.diagnose import diagnose
from scaledoctor.redact import Redactor
from scaledoctor.registry import load
from scaledoctor.report import Report
from scaledoctor.sdk import Fix, Severity
from scaledoctor.snapshot import dumps
from scaledoctor.targets import targets
from scaledoctor_checks.queues.rabbitmq_churn import connection_churn
from tests.checks.rabbitmq_facts import opened
from tests.rabbit import (
    Broker,
    Channel,
    Work,
    consumer,
    never,
    publish,
    publisher,
    rejects,
    requeues,
    slowly,
)

pytestmark = [pytest.mark.live, pytest.mark.slow]  # real workers need real seconds

REGISTRY = load()
WINDOW = 10.0

DLX = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "mail.dlq"}


def bursts(queue: str) -> Work:
    """Six hundred at once, then three seconds of nothing."""
    return publisher(queue, 600, 3.0)


FAULTS: dict[str, dict[str, Work]] = {
    "healthy": {
        "web_1": bursts("mail"),
        "web_2": publisher("orders", 5, 0.2),
        "mailer": consumer("mail", slowly(0.001), prefetch=50),
        "clerk": consumer("orders", slowly(0.001), prefetch=5),
    },
    "orphan": {"web": publisher("mail", 1, 0.2)},
    "hoard": {"worker_1": consumer("mail", never, prefetch=0)},
    "greedy": {
        "batch": consumer("mail", slowly(1.0), prefetch=1000),
        "clerk": consumer("mail", slowly(0.05), prefetch=1),
    },
    "loop": {"worker": consumer("mail", requeues, prefetch=1)},
    "slow": {
        "web": publisher("mail", 40, 0.5),
        "worker": consumer("mail", slowly(0.1), prefetch=5),
    },
    "rejecting": {
        "web": publisher("mail", 1, 0.15),
        "worker": consumer("mail", rejects, prefetch=1),
    },
}


def declare(broker: Broker) -> None:
    """The queues of each virtual host, and what lies in them."""
    for fault in FAULTS:
        broker.vhost(fault)
        with broker.channel(fault) as channel:
            channel.queue_declare("mail.dlq", durable=True)
            own = {} if fault == "loop" else DLX
            channel.queue_declare("mail", durable=True, arguments=own)
            if fault == "healthy":
                quorum = {**DLX, "x-queue-type": "quorum"}
                channel.queue_declare("orders", durable=True, arguments=quorum)
                stream = {"x-queue-type": "stream", "x-max-age": "1D"}
                channel.queue_declare("events", durable=True, arguments=stream)
                later = {"x-message-ttl": 600_000, "x-dead-letter-exchange": "",
                         "x-dead-letter-routing-key": "mail"}  # fmt: skip
                channel.queue_declare("mail.later", durable=True, arguments=later)
                for queue in ("mail.dlq", "mail.later", "events"):
                    publish(channel, queue, 20)
            if fault in ("hoard", "greedy", "loop"):
                publish(channel, "mail", 3 if fault == "loop" else 300, age=300)
            if fault == "orphan":
                publish(channel, "mail", 1, age=300)
    short = {"pattern": "^mail$", "definition": {"message-ttl": 600_000}, "priority": 3}
    broker.put("policies/loop/short", {**short, "apply-to": "queues"})


@pytest.fixture(scope="module")
def reports(broker: Broker) -> dict[str, Report]:
    """One look at all faults at once; a report for each."""
    declare(broker)
    with ExitStack() as stack:
        for fault, works in FAULTS.items():
            stack.enter_context(broker.clients(fault, **works))
        for fault in FAULTS:
            broker.until(
                f"queues/{fault}/mail", lambda q: q.get("message_stats", {}).get("publish")
            )
            broker.until(f"queues/{fault}/mail", lambda q: "messages_ready" in q)
        broker.until("queues/hoard/mail", lambda q: q["messages_unacknowledged"] == 300)
        broker.until("queues/greedy/mail", lambda q: q["messages_unacknowledged"] > 200)
        broker.until("queues/orphan/mail", lambda q: q["messages_ready"] > 0)
        urls = [broker.server.url(fault, fault) for fault in FAULTS]
        found = [t for t in targets({"rabbitmq": urls}, {}) if t.kind == "rabbitmq"]
        snapshot = collect(found, REGISTRY, Redactor(), WINDOW)
    assert b"hush" not in dumps(snapshot)
    return {
        fault: diagnose(replace(snapshot, records=(record,)), REGISTRY)
        for fault, record in zip(FAULTS, snapshot.records, strict=True)
    }


def told(queue: dict[str, Any]) -> bool:
    """Whether the management API has figures of a queue already."""
    return "messages_ready" in queue and "publish" in queue.get("message_stats", {})


def first(report: Report) -> Any:
    """What is named as the cause; nothing broke on the way."""
    assert report.errored == ()
    return report.diagnoses[0].finding


def test_healthy_bursts_are_quiet(reports: dict[str, Report]) -> None:
    """Six hundred at once, dead letters and delayed ones that lie there, a stream: no trouble."""
    report = reports["healthy"]
    assert report.errored == ()
    assert [d.finding.summary for d in report.diagnoses] == []
    assert [f.summary for f in report.minor] == []
    risks = {(f.check, f.subject) for f in report.risks}
    assert risks == set()
    skipped = {s.what for s in report.skipped if s.what.startswith("rabbitmq.")}
    assert skipped == set()
    assert {f.check for f in report.blind_spots} == {"rabbitmq.hidden-queues"}


def test_a_queue_without_consumers(reports: dict[str, Report]) -> None:
    finding = first(reports["orphan"])
    assert (finding.check, finding.subject) == ("queue.no-workers", "rabbitmq mail@orphan")


def test_messages_in_the_wrong_hands(reports: dict[str, Report]) -> None:
    """Two consumers, one of them slow and with all of the messages: the other one is not blamed."""
    finding = first(reports["greedy"])
    assert (finding.check, finding.subject) == ("rabbitmq.prefetch-hoard", "rabbitmq mail@greedy")
    assert finding.summary.startswith("batch holds at least ")
    assert finding.fixes[0].title == "Hand batch at most 20 messages of mail@greedy at once"


def test_a_hoard(reports: dict[str, Report]) -> None:
    finding = first(reports["hoard"])
    assert (finding.check, finding.subject) == ("rabbitmq.unacked-hoard", "rabbitmq mail@hoard")
    assert finding.severity is Severity.HIGH
    assert finding.summary.startswith("worker holds 300 messages of mail@hoard and acknowledged")


def test_a_loop(reports: dict[str, Report]) -> None:
    finding = first(reports["loop"])
    assert (finding.check, finding.subject) == ("rabbitmq.requeue-loop", "rabbitmq mail@loop")
    assert finding.severity is Severity.HIGH
    assert finding.impact > 0.9


def test_too_few_consumers(reports: dict[str, Report]) -> None:
    """The rates come from counters over ten seconds: 80/s and 10/s, whatever the machine does."""
    finding = first(reports["slow"])
    assert (finding.check, finding.subject) == ("queue.backlog", "rabbitmq mail@slow")
    assert "workers, 1 are at work" in finding.summary


def test_dead_letters_that_pile_up(reports: dict[str, Report]) -> None:
    """The queue that they end in is named, although nobody consumes from it."""
    finding = first(reports["rejecting"])
    assert (finding.check, finding.subject) == ("queue.dead", "rabbitmq mail.dlq@rejecting")


def paste(broker: Broker, *lines: str) -> None:
    """Run lines of a fix on the broker's machine, as its administrator."""
    port = f"localhost:{broker.server.api_port}"
    text = "\n".join(lines).replace("-u ADMINISTRATOR", "-sf -u guest:guest")
    account = broker.server.account
    subprocess.run(
        ["/bin/sh", "-euc", text.replace("localhost:15672", port)],
        env=dict(broker.server.env),
        cwd=broker.server.folder,
        check=True,
        capture_output=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def policy_of(broker: Broker, vhost: str, queue: str) -> dict[str, Any]:
    """What holds for a queue now."""
    found = broker.get(f"queues/{vhost}/{queue}")
    policy: dict[str, Any] = found.get("effective_policy_definition") or {}
    return policy


def test_the_fix_of_a_loop_can_be_pasted_and_undone(
    broker: Broker, reports: dict[str, Report]
) -> None:
    """A queue with a policy keeps what that said; rejected messages end where the fix says."""
    fix: Fix = first(reports["loop"]).fixes[0]
    paste(broker, *fix.commands)
    with broker.clients("loop", worker=consumer("mail", rejects, prefetch=1)):
        broker.until("queues/loop/mail.dlq", lambda q: q.get("messages_ready") == 3)
    broker.until("queues/loop/mail", lambda q: q.get("policy", "") == "scaledoctor-mail")
    assert broker.get("queues/loop/mail")["effective_policy_definition"] == {
        "dead-letter-exchange": "",
        "dead-letter-routing-key": "mail.dlq",
        "message-ttl": 600_000,
    }
    paste(broker, fix.verify, fix.undo)


def scan(url: str, window: float = WINDOW) -> Report:
    """One look at one broker."""
    found = [t for t in targets({"rabbitmq": (url,)}, {}) if t.kind == "rabbitmq"]
    return diagnose(collect(found, REGISTRY, Redactor(), window), REGISTRY)


@pytest.fixture
def watched(broker: Broker) -> str:
    """A user of the whole broker with the tag monitoring."""
    broker.vhost("alarm")
    return broker.user("watcher", "monitoring", "alarm")


def test_alarms_that_block_publishers(broker: Broker, watched: str) -> None:
    """The site hangs: who hangs is counted, and pasting the fixes lets them go on."""
    ctl = broker.server.ctl
    with broker.channel("alarm") as channel:
        channel.queue_declare("mail")
    with broker.clients("alarm", web_1=steadily, web_2=steadily):
        broker.until("connections", lambda rows: names(rows) >= {"web-1", "web-2"})
        try:
            ctl("set_vm_memory_high_watermark", "absolute", "20MB")
            ctl("set_disk_free_limit", "900GB")
            broker.until("connections", lambda rows: states(rows, "blocked") >= 2)
            report = scan(watched, window=1.0)
            found = [d.finding for d in report.diagnoses if d.finding.check == "rabbitmq.alarm"]
            assert first(report) is found[0]
            assert [f.subject for f in found] == [
                f"{what} of {node_of(broker)}" for what in ("disk", "memory")
            ]
            assert all(f.severity is Severity.CRITICAL for f in found)
            assert all("2 connections hang in it" in f.summary for f in found)
            for finding in found:
                paste(broker, *finding.fixes[0].commands)
            assert broker.get("health/checks/alarms")["status"] == "ok"
        finally:
            ctl("set_vm_memory_high_watermark", "absolute", "512MB")
            ctl("set_disk_free_limit", "50MB")


def steadily(channel: Channel, stop: Any) -> None:
    """Publishes, and goes on when the broker lets it."""
    while not stop.is_set():
        publish(channel, "mail")
        channel.connection.process_data_events(0.05)


def names(rows: list[dict[str, Any]]) -> set[Any]:
    return {row.get("user_provided_name") for row in rows}


def states(rows: list[dict[str, Any]], state: str) -> int:
    return sum(row.get("state") == state for row in rows)


def node_of(broker: Broker) -> str:
    name: str = broker.get("overview")["node"]
    return name


def test_churn_is_named_once_its_own_fix_is_pasted(broker: Broker, watched: str) -> None:
    """A connection, a channel and one message each, beside one that stays: no list shows them."""

    def churning(channel: Channel, stop: Any) -> None:
        while not stop.is_set():
            connection = broker.connect("alarm", "php-4711")
            publish(connection.channel(), "mail")
            connection.close()
            stop.wait(0.05)

    (nameless,) = connection_churn(opened(100), None)
    with broker.channel("alarm") as channel:
        channel.queue_declare("mail")
    with broker.clients("alarm", cron=churning):
        paste(broker, nameless.fixes[0].commands[0])
        try:
            report = scan(watched)
        finally:
            paste(broker, nameless.fixes[0].undo)
    found = live(report)
    assert found["rabbitmq.connection-churn"].subject == "guest from 127.0.0.1"
    assert "rabbitmq.channel-churn" not in found


def live(report: Report) -> dict[str, Any]:
    """Live findings by their check."""
    assert report.errored == ()
    return {f.check: f for d in report.diagnoses for f in (d.finding, *d.symptoms)}


def test_a_short_look_says_what_it_cannot_know(broker: Broker, watched: str) -> None:
    """No rate is made up of figures that have not changed yet."""
    report = scan(watched, window=1.0)
    reasons = {s.what: (s.reason, s.enable) for s in report.skipped}
    wanted = ("RabbitMQ's figures change every 5 s: rates need 10 s", "scan with --window 10")
    for check in ("unacked-hoard", "requeue-loop", "connection-churn", "channel-churn"):
        assert reasons[f"rabbitmq.{check}"] == wanted
