"""How a queue of Amazon SQS is set up: dead letters, retention, polling, visibility."""

from collections.abc import Iterator
from shlex import quote

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, check
from scaledoctor.sources.sqs import SqsQueue, SqsQueues, SqsSources
from scaledoctor_checks.postgres._words import duration
from scaledoctor_checks.queues.sqs_limits import SOURCE

DAY = 86_400
LONGEST = 14 * DAY
"""Seconds that SQS keeps a message at most."""


def _set(title: str, queue: str, name: str, value: int, old: int, *, risk: str) -> Fix:
    """One attribute of a queue, as Amazon's own command sets it."""
    where = f'--queue-url "$(aws sqs get-queue-url --queue-name {quote(queue)} --output text)"'
    change = f"aws sqs set-queue-attributes {where} --attributes {name}="
    return Fix(
        title,
        (f"{change}{value}",),
        "shell",
        risk=risk,
        verify=f"aws sqs get-queue-attributes {where} --attribute-names {name}",
        undo=f"{change}{old}",
    )


@check("sqs.no-dead-letters", step=Step.TIGHTEN)
def no_dead_letters(queues: SqsQueues, sources: SqsSources, /) -> Iterator[Finding]:
    """A queue of SQS has no queue for dead letters.

    Why: a message that nobody can process is received again after each visibility timeout, until
    its retention ends and it is gone without a trace; a FIFO queue stands still behind it.
    How measured: no RedrivePolicy, and no other queue sends its dead letters here.
    Fix: a second queue, and a RedrivePolicy.
    When to ignore: the workers put what fails elsewhere themselves.
    References: Amazon SQS, Dead-letter queues.
    """
    queue = queues.queue
    if queue.dead_letters is not None or sources.names:
        return
    yield Finding(
        subject=f"sqs {queue.name}",
        summary=f"{queue.name} has no queue for dead letters: what fails comes back for "
        f"{duration(float(queue.retention))}, then it is gone",
        severity=Severity.MEDIUM,
        evidence=(
            Evidence("RedrivePolicy", "none", source=SOURCE),
            Evidence("retention", float(queue.retention), "s", source=SOURCE),
        ),
        fixes=(_dead_letters(queue),),
        kind=Kind.RISK,
    )


def _dead_letters(queue: SqsQueue) -> Fix:
    stem = queue.name.removesuffix(".fifo")
    grave = quote(f"{stem}-dlq.fifo" if queue.fifo else f"{stem}-dlq")
    attributes = f"MessageRetentionPeriod={LONGEST}" + (",FifoQueue=true" if queue.fifo else "")
    own = f'"$(aws sqs get-queue-url --queue-name {quote(queue.name)} --output text)"'
    return Fix(
        f"Move what was received five times to {grave}",
        (
            f"URL=$(aws sqs create-queue --queue-name {grave} --attributes {attributes} "
            "--query QueueUrl --output text)",
            "ARN=$(aws sqs get-queue-attributes --queue-url $URL --attribute-names QueueArn "
            "--query Attributes.QueueArn --output text)",
            f"aws sqs set-queue-attributes --queue-url {own} --attributes "
            '\'{"RedrivePolicy": "{\\"deadLetterTargetArn\\": \\"\'$ARN\'\\", '
            '\\"maxReceiveCount\\": \\"5\\"}"}\'',
        ),
        "shell",
        risk="a slow outage moves messages there too: aws sqs start-message-move-task brings them "
        "back",
        verify=f"aws sqs get-queue-attributes --queue-url {own} --attribute-names RedrivePolicy",
        undo=f"aws sqs set-queue-attributes --queue-url {own} --attributes "
        '\'{"RedrivePolicy": ""}\'',
    )


@check("sqs.receive-count", step=Step.TIGHTEN)
def receive_count(queues: SqsQueues, /, *, few: int = 1, many: int = 100) -> Iterator[Finding]:
    """A message of SQS is given up after too few tries, or after far too many.

    Why: with one try a worker that is restarted buries what it had in hand; with hundreds a
    message that nobody can process keeps the workers busy for days.
    How measured: maxReceiveCount of the RedrivePolicy, at most ``few`` or more than ``many``.
    Thresholds: Amazon advises at least five with Lambda; above a hundred it takes 50 minutes at
    the default visibility timeout.
    Fix: five.
    When to ignore: work that must never be done twice.
    References: Amazon SQS, Dead-letter queues: maxReceiveCount; Lambda with SQS.
    """
    queue, most = queues.queue, queues.queue.most_receives
    if most is None or few < most <= many:
        return
    yield Finding(
        subject=f"sqs {queue.name}",
        summary=f"{queue.name} gives a message up after {most} receive{'s' if most > 1 else ''}",
        severity=Severity.LOW,
        evidence=(
            Evidence("maxReceiveCount", float(most), "receives",
                     float(few if most <= few else many), SOURCE),
        ),
        fixes=(
            Fix(
                "Five tries",
                (f"# in the RedrivePolicy of {queue.name}: \"maxReceiveCount\": \"5\"",),
                "text",
                risk="work that fails half way is done again",
                verify="scaledoctor scan again",
                undo=f"maxReceiveCount {most}",
            ),
        ),
        kind=Kind.RISK,
    )  # fmt: skip


@check("sqs.short-polling", step=Step.TIGHTEN)
def short_polling(queues: SqsQueues, sources: SqsSources, /) -> Iterator[Finding]:
    """A queue of SQS answers at once when it is empty, and sometimes when it is not.

    Why: workers ask all the time, each empty answer is paid for, and an answer from a part of the
    servers can be empty although messages wait.
    How measured: ReceiveMessageWaitTimeSeconds is 0. Receivers may ask for a wait themselves,
    which is not seen from here.
    Fix: 20 seconds, the most.
    When to ignore: each receiver sets WaitTimeSeconds; Lambda does.
    References: Amazon SQS, Short and long polling.
    """
    queue = queues.queue
    if queue.wait or sources.names:
        return
    yield Finding(
        subject=f"sqs {queue.name}",
        summary=f"{queue.name} is polled without a wait, unless its receivers ask for one",
        severity=Severity.LOW,
        evidence=(Evidence("ReceiveMessageWaitTimeSeconds", 0.0, "s", 1.0, SOURCE),),
        fixes=(
            _set(
                "Let an empty queue hold the answer for up to 20 s",
                queue.name,
                "ReceiveMessageWaitTimeSeconds",
                20,
                0,
                risk="a receiver with a shorter read time-out of its own fails",
            ),
        ),
        kind=Kind.RISK,
    )


@check("sqs.retention", step=Step.TIGHTEN)
def retention(queues: SqsQueues, /, *, short: float = 1.0) -> Iterator[Finding]:
    """SQS deletes messages before anybody can look at them.

    Why: in a standard queue a dead letter keeps the age that it had, so that a queue for them
    that keeps no longer than the first one may get them already old; and what waits for less
    than a day does not outlive a night.
    How measured: MessageRetentionPeriod of both queues; below ``short`` days for the first.
    Thresholds: Amazon advises a longer time for dead letters; a day is the shortest outage that
    nobody notices.
    Fix: fourteen days, the most; it costs nothing.
    When to ignore: data that may not be kept longer.
    References: Amazon SQS, Dead-letter queues: message retention periods.
    """
    queue, dead = queues.queue, queues.dead_letters
    if dead is not None and not queue.fifo and dead.retention <= queue.retention:
        yield _keeps(dead, f"no longer than {queue.name}, whose dead letters it takes",
                     float(queue.retention), Severity.MEDIUM)  # fmt: skip
    if queue.retention < short * DAY:
        yield _keeps(queue, "only", short * DAY, Severity.LOW)


def _keeps(queue: SqsQueue, words: str, limit: float, severity: Severity) -> Finding:
    return Finding(
        subject=f"sqs {queue.name}",
        summary=f"{queue.name} keeps messages {words}: {duration(float(queue.retention))}",
        severity=severity,
        evidence=(Evidence("MessageRetentionPeriod", float(queue.retention), "s", limit, SOURCE),),
        fixes=(
            _set(
                "Keep them for fourteen days",
                queue.name,
                "MessageRetentionPeriod",
                LONGEST,
                queue.retention,
                risk="none",
            ),
        ),
        kind=Kind.RISK,
    )


@check("sqs.visibility", step=Step.TIGHTEN)
def visibility(queues: SqsQueues, sources: SqsSources, /, *, long: int = 3600) -> Iterator[Finding]:
    """Messages of SQS come back at once, or hours after their worker was lost.

    Why: with 0 every receiver gets the same message at the same time; with hours a message whose
    worker died waits as long.
    How measured: VisibilityTimeout is 0, or more than ``long`` seconds while messages are in
    flight. Threshold: few jobs take an hour, and such a worker can prolong its own message.
    Fix: six times what a job takes; longer ones prolong it as they go.
    When to ignore: jobs that really take that long.
    References: Amazon SQS, Visibility timeout; Lambda with SQS: six times the function's.
    """
    queue = queues.queue
    long_held = queue.visibility > long and queue.in_flight > 0
    if sources.names or (queue.visibility and not long_held):
        return
    words = "comes back at once: every receiver gets it" if not queue.visibility else (
        f"whose worker dies comes back after {duration(float(queue.visibility))}")  # fmt: skip
    yield Finding(
        subject=f"sqs {queue.name}",
        summary=f"a message of {queue.name} {words}",
        severity=Severity.LOW if queue.visibility else Severity.MEDIUM,
        evidence=(
            Evidence("VisibilityTimeout", float(queue.visibility), "s", float(long), SOURCE),
            Evidence("in flight", float(queue.in_flight), "messages", source=SOURCE),
        ),
        fixes=(
            _set(
                "Set it to six times what a job takes; 300 s where that is not known",
                queue.name,
                "VisibilityTimeout",
                300,
                queue.visibility,
                risk="a job that takes longer is handed out twice, unless it prolongs its message",
            ),
        ),
        kind=Kind.RISK,
    )


@check("sqs.not-told", step=Step.IDENTIFY)
def not_told(queues: SqsQueues, sources: SqsSources | None, /) -> Iterator[Finding]:
    """What SQS tells only elsewhere, or not to this key.

    Why: what was not seen is not healthy.
    How measured: ages, rates and receivers are in CloudWatch alone; the queue for dead letters
    may be one that this key may not look at.
    Fix: the command that asks CloudWatch; a permission.
    When to ignore: CloudWatch has an alarm on the age.
    References: Amazon SQS, Available CloudWatch metrics.
    """
    queue = queues.queue
    if queue.dead_letters is not None and queues.dead_letters is None:
        yield _blind(
            f"sqs {queue.dead_letters}",
            f"the dead letters of {queue.name} go to {queue.dead_letters}, which this key may not "
            "look at",
            "Allow sqs:GetQueueAttributes on it",
            (f"# Resource: the ARN of {queue.dead_letters}",),
        )
    if sources and sources.names:
        return
    yield _blind(
        f"sqs {queue.name}",
        f"how old the oldest message of {queue.name} is stands in CloudWatch alone",
        "Ask CloudWatch for the age, and set an alarm on it",
        (
            "aws cloudwatch get-metric-statistics --namespace AWS/SQS --metric-name "
            "ApproximateAgeOfOldestMessage --statistics Maximum --period 60 "
            f"--dimensions Name=QueueName,Value={quote(queue.name)} "
            '--start-time "$(date -u -d -15min +%FT%TZ)" --end-time "$(date -u +%FT%TZ)"',
        ),
    )


def _blind(subject: str, summary: str, title: str, commands: tuple[str, ...]) -> Finding:
    return Finding(
        subject=subject,
        summary=summary,
        severity=Severity.INFO,
        fixes=(Fix(title, commands, "shell", "none: looking only", "scan again", "none needed"),),
        kind=Kind.BLIND_SPOT,
    )
