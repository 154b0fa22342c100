"""Checks on SQS at their thresholds, on plain facts; their commands run in a real shell."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scaledoctor.sdk import Fix, Kind, Severity, State, Window
from scaledoctor.sources.sqs import SqsQueue, SqsQueues, SqsSources
from scaledoctor_checks.queues.sqs_limits import in_flight, in_flight_limit
from scaledoctor_checks.queues.sqs_setup import (
    no_dead_letters,
    not_told,
    receive_count,
    retention,
    short_polling,
    visibility,
)
from tests.checks.queue_facts import only

JOBS = SqsQueue(
    name="jobs", visible=12, in_flight=3, delayed=0, visibility=30, retention=345_600, wait=20,
    dead_letters="jobs-dlq", most_receives=5,
)  # fmt: skip
DLQ = SqsQueue(
    name="jobs-dlq", visible=0, in_flight=0, delayed=0, visibility=30, retention=1_209_600, wait=20
)
NOBODY = SqsSources(())
SOMEBODY = SqsSources(("jobs",))


def seen(dead: SqsQueue | None = DLQ, **changes: Any) -> SqsQueues:
    """A queue that is set up well, with a queue for its dead letters."""
    return SqsQueues(replace(JOBS, **changes), dead)


def said(found: Any) -> list[str]:
    """Severities in order."""
    return [f.severity.name for f in found]


def test_a_queue_that_is_set_up_well_is_quiet() -> None:
    queues = seen()
    assert not list(in_flight_limit(Window.of(queues, queues)))
    for check in (no_dead_letters, short_polling, visibility):
        assert not list(check(queues, NOBODY))
    assert not [*receive_count(queues), *retention(queues)]
    assert in_flight(Window.of(queues)).state is State.OK


@pytest.mark.parametrize(
    ("count", "severity"),
    [(95_999, None), (96_000, "HIGH"), (119_999, "HIGH"), (120_000, "CRITICAL")],
)
def test_in_flight_limit(count: int, severity: str | None) -> None:
    window = Window.of(seen(), seen(in_flight=count))
    found = list(in_flight_limit(window))
    assert said(found) == ([severity] if severity else [])
    assert all(f.explains == {"sqs.in-flight:jobs": 1.0} for f in found)
    use = in_flight(window)
    assert use.subject == "jobs"
    assert (use.state is State.OK) is (severity is None)


def test_no_dead_letters() -> None:
    lost = seen(None, dead_letters=None)
    assert not list(no_dead_letters(lost, SOMEBODY))
    finding = only(no_dead_letters(lost, NOBODY))
    assert (finding.subject, finding.kind) == ("sqs jobs", Kind.RISK)
    assert "comes back for 96.0 h" in finding.summary


@pytest.mark.parametrize(
    ("most", "fires"), [(None, False), (1, True), (2, False), (100, False), (101, True)]
)
def test_receive_count(most: int | None, fires: bool) -> None:
    assert bool(list(receive_count(seen(most_receives=most)))) is fires


@pytest.mark.parametrize(("wait", "fires"), [(0, True), (1, False)])
def test_short_polling(wait: int, fires: bool) -> None:
    assert bool(list(short_polling(seen(wait=wait), NOBODY))) is fires
    assert not list(short_polling(seen(wait=wait), SOMEBODY))


@pytest.mark.parametrize(
    ("own", "dead", "fifo", "severities"),
    [
        (345_600, 345_601, False, []),
        (345_600, 345_600, False, ["MEDIUM"]),
        (345_600, 345_600, True, []),
        (86_400, 1_209_600, False, []),
        (86_399, 1_209_600, False, ["LOW"]),
        (60, 60, False, ["MEDIUM", "LOW"]),
    ],
)
def test_retention(own: int, dead: int, fifo: bool, severities: list[str]) -> None:
    queues = seen(replace(DLQ, retention=dead), retention=own, fifo=fifo)
    assert said(retention(queues)) == severities
    assert said(retention(replace(queues, dead_letters=None))) == [
        s for s in severities if s == "LOW"
    ]


@pytest.mark.parametrize(
    ("seconds", "flying", "severity"),
    [(0, 0, "MEDIUM"), (1, 5, None), (3600, 5, None), (3601, 5, "LOW"), (3601, 0, None)],
)
def test_visibility(seconds: int, flying: int, severity: str | None) -> None:
    queues = seen(visibility=seconds, in_flight=flying)
    assert said(visibility(queues, NOBODY)) == ([severity] if severity else [])
    assert not list(visibility(queues, SOMEBODY))


def test_what_is_not_told() -> None:
    """The age is always one; a queue for dead letters that may not be looked at is another."""
    assert not list(not_told(seen(), SOMEBODY))
    assert only(not_told(seen(), NOBODY)).subject == "sqs jobs"
    hidden, age = not_told(seen(None), None)
    assert (hidden.subject, age.subject) == ("sqs jobs-dlq", "sqs jobs")
    assert {hidden.severity, age.severity} == {Severity.INFO}


AWS = """#!/bin/sh
case "$*" in
*QueueUrl*) echo https://sqs.us-east-1.amazonaws.com/1/other ;;
*get-queue-url*) echo https://sqs.us-east-1.amazonaws.com/1/own ;;
*QueueArn*) echo arn:aws:sqs:us-east-1:1:other ;;
esac
printf '%s\\n' "$#" "$@" >> "$CALLS"
"""


def run(fix: Fix, folder: Path) -> list[list[str]]:
    """Run a fix's commands in a shell whose ``aws`` only writes down how it was called."""
    calls, program = folder / "calls", folder / "aws"
    program.write_text(AWS)
    program.chmod(0o755)
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "CALLS": str(calls)}
    subprocess.run(["/bin/sh", "-euc", "\n".join(fix.commands)], env=environment, check=True)
    lines, found = calls.read_text().splitlines(), []
    while lines:
        count = int(lines.pop(0))
        found.append([lines.pop(0) for _ in range(count)])
    return found


@pytest.mark.parametrize("name", ["jobs", "jobs.fifo"])
def test_the_dead_letter_commands_say_what_amazon_wants(name: str, tmp_path: Path) -> None:
    lost = seen(None, dead_letters=None, name=name, fifo=name.endswith("fifo"))
    create, _, _, redrive = run(only(no_dead_letters(lost, NOBODY)).fixes[0], tmp_path)
    assert create[3] == ("jobs-dlq.fifo" if name.endswith("fifo") else "jobs-dlq")
    assert ("FifoQueue=true" in create[5]) is name.endswith("fifo")
    assert redrive[:4] == ["sqs", "set-queue-attributes", "--queue-url",
                           "https://sqs.us-east-1.amazonaws.com/1/own"]  # fmt: skip
    policy = json.loads(json.loads(redrive[5])["RedrivePolicy"])
    assert policy == {
        "deadLetterTargetArn": "arn:aws:sqs:us-east-1:1:other", "maxReceiveCount": "5"
    }  # fmt: skip


def test_a_setting_is_one_command(tmp_path: Path) -> None:
    fix = only(short_polling(seen(wait=0), NOBODY)).fixes[0]
    _, change = run(fix, tmp_path)
    assert change[-1] == "ReceiveMessageWaitTimeSeconds=20"
    assert fix.undo.endswith("ReceiveMessageWaitTimeSeconds=0")
