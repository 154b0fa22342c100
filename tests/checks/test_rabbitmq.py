"""Checks on RabbitMQ at their thresholds, on plain facts: quiet first, then each edge."""

from dataclasses import replace
from typing import Any

import pytest

from scaledoctor.sdk import Finding, Kind, Severity, State, Unavailable, Window
from scaledoctor.sources.rabbitmq import (
    RabbitHidden,
    RabbitLogin,
    RabbitLogins,
    RabbitMemory,
    RabbitNode,
)
from scaledoctor_checks.queues.rabbitmq_alarm import alarm, publishers
from scaledoctor_checks.queues.rabbitmq_blind import hidden_queues, not_told
from scaledoctor_checks.queues.rabbitmq_churn import channel_churn, connection_churn
from scaledoctor_checks.queues.rabbitmq_copies import (
    copies_missing,
    mirrored_classic,
    queue_down,
)
from scaledoctor_checks.queues.rabbitmq_nodes import node, node_down, node_limits
from tests.checks.queue_facts import only
from tests.checks.rabbitmq_facts import (
    NODE,
    NODES,
    alarms,
    client,
    clients,
    nodes,
    opened,
    queue,
    queues,
    rules,
)

CALM = Window.of(*[alarms()] * 10, every=1.0)
MEMORY = ("rabbit@a", "memory")


def raised(times: int, *pairs: tuple[str, str]) -> Any:
    """An alarm in the last so many of ten readings."""
    return Window.of(*[alarms()] * (10 - times), *[alarms(*(pairs or (MEMORY,)))] * times, every=1)


def said(found: Any) -> list[str]:
    """Severities in order."""
    return [f.severity.name for f in found]


def test_no_alarm_is_quiet_and_publishers_are_free() -> None:
    assert not list(alarm(CALM, NODES, None, queues(queue()), clients(client()), None))
    assert publishers(CALM, None).state is State.OK


def test_an_alarm_names_node_queue_and_who_hangs() -> None:
    """The largest queue is the cause from a quarter of the memory on, and its workers behind it."""
    full = nodes(memory=1_000_000_000)
    held = queue(name="audit", ready=90_000, consumers=0, ram=600_000_000, bytes=700_000_000)
    kept = RabbitMemory((("rabbit@a", "message bodies", 700_000_000),))
    waiting = clients(client(blocked=3, connections=4))
    finding = only(alarm(raised(10), full, kept, queues(held, queue()), waiting, None))
    assert finding.severity is Severity.CRITICAL
    assert finding.subject == "memory of rabbit@a"
    assert finding.summary == (
        "RabbitMQ blocks all publishers: memory alarm on rabbit@a (1.0 GB used, the limit is "
        "1.0 GB); 3 connections hang in it; queue audit holds 60% of it"
    )
    assert finding.explains == {"rabbitmq.publishers": 1.0}
    assert finding.waits_for == {"queue.workers:rabbitmq audit": pytest.approx(0.6, abs=0.001)}
    assert finding.impact == 1.0
    bound, more = finding.fixes
    assert bound.commands[1] == (
        "rabbitmqctl set_policy -p / --apply-to queues --priority 1 scaledoctor-audit '^audit$' "
        '\'{"max-length-bytes": 350000000, "overflow": "reject-publish"}\''
    )
    assert more.undo == "rabbitmqctl -n rabbit@a set_vm_memory_high_watermark absolute 1000000000"
    assert any("message bodies" in e.fact for e in finding.evidence)


@pytest.mark.parametrize(("held", "named"), [(249_000_000, False), (250_000_000, True)])
def test_a_queue_below_a_quarter_is_one_of_many(held: int, named: bool) -> None:
    full = nodes(memory=1_000_000_000)
    table = queues(queue(name="audit", memory=0, ram=held))
    finding = only(alarm(raised(10), full, None, table, None, None))
    assert bool(finding.waits_for) is named
    assert ("audit" in finding.summary) is named


def test_an_alarm_that_came_and_went_is_told_with_its_share() -> None:
    """Figures of the node that do not show it yet, or no more, are not shown as its proof."""
    window = Window.of(*[alarms(MEMORY)] * 4, *[alarms()] * 6, every=1.0)
    finding = only(alarm(window, NODES, None, None, None, None))
    assert finding.severity is Severity.HIGH
    assert finding.impact == pytest.approx(0.4)
    assert finding.summary == (
        "RabbitMQ blocks all publishers 40% of the time: memory alarm on rabbit@a"
    )


def test_a_disk_alarm_has_a_lower_limit_as_its_fix() -> None:
    full = nodes(disk_free=900_000_000, disk_limit=2_000_000_000)
    finding = only(alarm(raised(10, ("rabbit@a", "disk")), full, None, None, None, None))
    assert "900 MB free, the limit is 2.0 GB" in finding.summary
    assert "set_disk_free_limit 450000000" in finding.fixes[0].commands[1]
    assert finding.fixes[0].undo.endswith("set_disk_free_limit 2000000000")


@pytest.mark.parametrize(
    ("times", "state"), [(0, "ok"), (1, "busy"), (4, "busy"), (5, "saturated")]
)
def test_publishers_by_share_of_time(times: int, state: str) -> None:
    use = publishers(raised(times), clients(client(blocked=2)))
    assert use.state == state
    assert use.waiting == 2


@pytest.mark.parametrize(("used", "severity"), [(0.79, None), (0.8, "MEDIUM"), (0.9, "HIGH")])
@pytest.mark.parametrize("what", ["memory", "files", "sockets", "processes"])
def test_node_limits(what: str, used: float, severity: str | None) -> None:
    limit = getattr(NODE, f"{what}_limit")
    found = list(node_limits(nodes(**{what: int(used * limit)}), alarms(), None))
    assert said(found) == ([severity] if severity else [])
    assert all(f.kind is Kind.RISK for f in found)


def test_used_up_files_refuse_now() -> None:
    finding = only(node_limits(nodes(files=20_000), alarms(), None))
    assert (finding.severity, finding.kind) == (Severity.CRITICAL, Kind.LIVE)
    (use,) = [u for u in node(Window.of(nodes(files=20_000)), None) if u.subject.endswith("files")]
    assert use.state is State.SATURATED
    assert finding.explains == {f"rabbitmq.node:{use.subject}": 1.0}


@pytest.mark.parametrize(
    ("free", "severity"), [(100_000_000, None), (99_000_000, "MEDIUM"), (59_000_000, "HIGH")]
)
def test_node_disk(free: int, severity: str | None) -> None:
    found = list(node_limits(nodes(disk_free=free), alarms(), None))
    assert said(found) == ([severity] if severity else [])


def test_what_the_alarm_says_is_not_said_twice() -> None:
    full = nodes(memory=1_000_000_000, disk_free=1)
    assert not list(node_limits(full, alarms(MEMORY, ("rabbit@a", "disk")), None))


def test_a_full_memory_without_alarm_is_busy_only() -> None:
    full = Window.of(nodes(memory=950_000_000))
    states = {u.subject: u.state for u in node(full, alarms())}
    assert states["rabbit@a memory"] is State.BUSY
    assert states["rabbit@a files"] is State.OK
    (memory, *_) = list(node(full, alarms(MEMORY)))
    assert memory.state is State.SATURATED


def test_figures_that_a_node_does_not_tell_are_left_out() -> None:
    bare = replace(NODES, nodes=(replace(NODE, memory=None, files_limit=None, disk_free=None),))
    assert [u.subject for u in node(Window.of(bare), None)] == [
        "rabbit@a sockets", "rabbit@a processes"
    ]  # fmt: skip
    assert not list(node_limits(bare, None, None))
    mute = replace(NODES, nodes=(RabbitNode("rabbit@a", running=True),))
    with pytest.raises(Unavailable, match="does not tell what its nodes use"):
        list(node_limits(mute, None, None))


def test_nodes_that_are_down_or_apart() -> None:
    assert not list(node_down(NODES))
    b = replace(NODE, name="rabbit@b", running=False, memory=None)
    c = replace(NODE, name="rabbit@c", partitions=("rabbit@a",))
    down, apart = node_down(replace(NODES, nodes=(NODE, b, c)))
    assert (down.subject, down.severity) == ("rabbit@b", Severity.HIGH)
    assert apart.summary == "rabbit@c does not see rabbit@a, a node of a cluster of 3"
    assert apart.severity is Severity.CRITICAL


@pytest.mark.parametrize(
    ("count", "severity"), [(49, None), (50, "MEDIUM"), (499, "MEDIUM"), (500, "HIGH")]
)
def test_connection_churn(count: int, severity: str | None) -> None:
    found = list(connection_churn(opened(count), None))
    assert said(found) == ([severity] if severity else [])
    assert all(f.subject == "connections" for f in found)


def logins(**made: int) -> Window[RabbitLogins]:
    """Each user made so many logins in the window, after seven before it."""
    readings = (dict.fromkeys(made, 7), {name: 7 + n for name, n in made.items()})
    rows = (tuple(RabbitLogin(u, "10.0.0.7", n) for u, n in r.items()) for r in readings)
    return Window.of(*map(RabbitLogins, rows), every=10.0)


def test_churn_names_who_logs_in_and_what_it_is_for() -> None:
    finding = only(connection_churn(opened(100, published=300), logins(web=5, cron=4)))
    assert finding.subject == "web from 10.0.0.7"
    assert finding.summary == (
        "web from 10.0.0.7 opens 10 connections per second: one for every 3.0 messages published"
    )
    assert finding.impact == pytest.approx(0.25)
    assert len(finding.fixes) == 1


@pytest.mark.parametrize(
    "told", [logins(web=5, cron=4, b=2), logins(), logins(web=0), None], ids=str
)
def test_churn_of_nobody_in_particular_says_how_to_find_out(told: Any) -> None:
    finding = only(connection_churn(opened(100), told))
    assert finding.subject == "connections"
    assert "track_auth_attempt_source, true" in finding.fixes[0].commands[0]


@pytest.mark.parametrize(
    ("connections", "channels", "severity"),
    [(0, 499, None), (0, 500, "MEDIUM"), (400, 500, None), (0, 4999, "MEDIUM"), (0, 5000, "HIGH")],
)
def test_channel_churn(connections: int, channels: int, severity: str | None) -> None:
    """Each connection has a channel of its own: those are no churn of channels."""
    found = list(channel_churn(opened(connections, channels), clients(client(channels=9))))
    assert said(found) == ([severity] if severity else [])
    assert all(f.subject == "web" for f in found)


@pytest.mark.parametrize("check", [connection_churn, channel_churn], ids=["connection", "channel"])
def test_churn_that_cannot_be_known_is_skipped(check: Any) -> None:
    with pytest.raises(Unavailable, match="every 5 s"):
        list(check(opened(100, seconds=5.0), None))
    reset = opened(-5, -5)
    with pytest.raises(Unavailable, match="restarted"):
        list(check(reset, None))
    untold = Window.of(*(replace(s, connections_opened=None) for s in opened(9)), every=10.0)
    with pytest.raises(Unavailable, match="does not count"):
        list(check(untold, None))


@pytest.mark.parametrize("state", ["running", "idle", "flow", ""])
def test_queues_that_are_up(state: str) -> None:
    assert not list(queue_down(queues(queue(state=state))))


def test_queues_that_are_down() -> None:
    table = queues(queue(state="minority", members=3, online=1, kind="quorum"), queue(name="b"))
    finding = only(queue_down(table))
    assert finding.summary == "queue mail is minority: 1 of 3 copies are up"
    assert finding.impact == 0.5
    assert not list(copies_missing(table))


@pytest.mark.parametrize(
    ("members", "online", "severity"),
    [(3, 3, None), (None, None, None), (3, 2, "MEDIUM"), (5, 4, "LOW"), (5, 3, "MEDIUM")],
)
def test_copies_missing(members: int | None, online: int | None, severity: str | None) -> None:
    found = list(copies_missing(queues(queue(kind="quorum", members=members, online=online))))
    assert said(found) == ([severity] if severity else [])


def test_mirrored_classic_queues_by_policy() -> None:
    assert not list(mirrored_classic(queues(queue(), queue(kind="quorum"))))
    both = [queue(name=n, policy="ha", rules=rules(mirrored=True)) for n in ("a", "b")]
    finding = only(mirrored_classic(queues(*both)))
    assert finding.subject == "policy ha of virtual host /"
    assert "2 classic queues (a, b)" in finding.summary


def test_hidden_queues() -> None:
    assert not list(hidden_queues(RabbitHidden("mon", 0)))
    finding = only(hidden_queues(RabbitHidden("mon", 7, ("a b", "c"))))
    assert finding.kind is Kind.BLIND_SPOT
    assert finding.fixes[0].commands == (
        "rabbitmqctl set_permissions -p 'a b' mon '^$' '^$' '^$'",
        "rabbitmqctl set_permissions -p c mon '^$' '^$' '^$'",
    )


def test_what_is_not_told() -> None:
    overview = opened(0).last
    assert not list(not_told(overview, queues(queue(), queue(kind="stream", consumers=0))))
    table = queues(queue(kind="stream"), total=5000)
    found: list[Finding] = list(not_told(replace(overview, statistics=False), table))
    assert [f.subject for f in found] == ["management.disable_stats", "queues", "streams"]
    assert "1 of 5000" in found[1].summary
