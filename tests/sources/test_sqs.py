"""SQS on the wire: what is asked, what comes of it, and every refusal in one line."""

from collections.abc import Iterator
from typing import Any

import pytest

from scaledoctor.collect import collect
from scaledoctor.diagnosis.diagnose import diagnose
from scaledoctor.errors import ScaledoctorError
from scaledoctor.redact import Redactor
from scaledoctor.registry import load
from scaledoctor.snapshot import Record
from scaledoctor.sources.queues import Queue, Queues
from scaledoctor.sources.sqs import SqsQueues
from scaledoctor.targets import targets
from tests.sources.pages import Answer, site
from tests.sources.sqs_server import KEY, SECRET, Standin, redrive, standin

REGISTRY = load()


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    """A stand-in with a queue ``jobs`` and its ``jobs-dlq``, and the key to it."""
    with standin() as server:
        for name, value in {
            "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "eu-west-1",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
        server.add("jobs-dlq", ApproximateNumberOfMessages="7")
        server.add(
            "jobs",
            ApproximateNumberOfMessages="120",
            ApproximateNumberOfMessagesNotVisible="8",
            ApproximateNumberOfMessagesDelayed="5",
            RedrivePolicy=redrive("jobs-dlq"),
        )
        yield server


def look(*urls: str, window: float = 0.0) -> tuple[Record, ...]:
    """One look at these queues, as the command line takes it."""
    found = [t for t in targets({"sqs": urls}, {}) if t.kind == "sqs"]
    return collect(found, REGISTRY, Redactor(), window).records


def fact(record: Record, name: str) -> Any:
    assert record.failures == ()
    return record.samples[name][-1][1]


def test_a_queue_and_its_dead_letters(sqs: Standin) -> None:
    (record,) = look(sqs.url("jobs"))
    assert record.name == "sqs:jobs"
    assert record.skips == ()
    found: SqsQueues = fact(record, "SqsQueues")
    assert found.queue.most_receives == 5
    assert fact(record, "Queues") == Queues(
        (
            Queue("sqs", "jobs", ready=120, in_flight=8, scheduled=5, timeout=30.0),
            Queue("sqs", "jobs-dlq", ready=0, dead=7),
        )
    )


def test_a_queue_for_dead_letters_is_no_work(sqs: Standin) -> None:
    """Named itself, its messages wait for people and not for workers."""
    (record,) = look(sqs.url("jobs-dlq"))
    assert fact(record, "SqsSources").names == ("jobs",)
    assert fact(record, "Queues") == Queues((Queue("sqs", "jobs-dlq", ready=0, dead=7),))


def test_no_message_is_ever_received(sqs: Standin) -> None:
    """Two actions, rightly signed: the stand-in answers no others."""
    look(sqs.url("jobs"))
    assert {action for action, _ in sqs.asked} == {
        "AmazonSQS.GetQueueAttributes", "AmazonSQS.ListDeadLetterSourceQueues"
    }  # fmt: skip
    assert sqs.asked[0][1] == {"QueueUrl": sqs.url("jobs"), "AttributeNames": ["All"]}
    assert len(sqs.asked) == 4


def test_dead_letters_that_may_not_be_looked_at_cost_nothing_else(sqs: Standin) -> None:
    sqs.hidden.add("jobs-dlq")
    (record,) = look(sqs.url("jobs"))
    assert fact(record, "SqsQueues").dead_letters is None
    assert [q.name for q in fact(record, "Queues").queues] == ["jobs"]


def test_what_others_write_is_read_too(sqs: Standin) -> None:
    """moto and ElasticMQ give maxReceiveCount as text; a policy may be broken."""
    sqs.queues["jobs"]["RedrivePolicy"] = redrive("jobs-dlq").replace("5}", '"5"}')
    (record,) = look(sqs.url("jobs"))
    assert fact(record, "SqsQueues").queue.most_receives == 5
    sqs.queues["jobs"]["RedrivePolicy"] = "[]"
    (record,) = look(sqs.url("jobs"))
    assert fact(record, "SqsQueues").queue.dead_letters is None


def test_an_attribute_that_is_missing_is_not_zero(sqs: Standin) -> None:
    del sqs.queues["jobs"]["ApproximateNumberOfMessages"]
    (record,) = look(sqs.url("jobs"))
    assert "SqsQueues" not in record.samples
    assert {s.reason for s in record.skips} == {
        "SQS does not tell ApproximateNumberOfMessages of the queue"
    }


@pytest.mark.slow
def test_a_queue_that_grows_is_named(sqs: Standin) -> None:
    """It grows at each look; its dead letters do not, and are no finding."""
    sqs.grows["jobs"] = 400
    found = [t for t in targets({"sqs": (sqs.url("jobs"),)}, {}) if t.kind == "sqs"]
    report = diagnose(collect(found, REGISTRY, Redactor(), 10.0), REGISTRY)
    assert report.errored == ()
    first = report.diagnoses[0].finding
    assert (first.check, first.subject) == ("queue.backlog", "sqs jobs")
    assert {f.subject for d in report.diagnoses for f in (d.finding, *d.symptoms)} == {"sqs jobs"}


REFUSALS = {
    "com.amazonaws.sqs#QueueDoesNotExist": ("queue", "there is no such queue"),
    "com.amazon.coral.service#UnrecognizedClientException": ("auth", "there is no such key"),
    "com.amazon.coral.service#ExpiredTokenException": ("auth", "the token has expired"),
    "com.amazon.coral.service#AccessDeniedException": ("role", "this key may not look"),
    "com.amazonaws.sqs#RequestThrottled": ("answer", "SQS answers RequestThrottled"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_refusals(sqs: Standin, kind: str) -> None:
    sqs.error = (400, kind, "anything")
    (record,) = look(sqs.url("jobs"))
    category, words = REFUSALS[kind]
    assert record.reach.category == category
    assert words in record.reach.message
    assert record.failures == ()


def test_a_wrong_clock_is_no_wrong_secret(sqs: Standin) -> None:
    words = "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z"
    sqs.error = (403, "com.amazon.coral.service#InvalidSignatureException", words)
    (record,) = look(sqs.url("jobs"))
    assert record.reach.message == "this machine's clock is wrong"


def test_a_wrong_secret(sqs: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in checks signatures: with another secret it refuses."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    (record,) = look(sqs.url("jobs"))
    assert record.reach.message == "the secret does not belong to the key"


def test_one_that_fails_does_not_stop_the_others(sqs: Standin) -> None:
    nobody = "http://127.0.0.1:1/1/jobs"
    with site(lambda asked, count: Answer(200, {"Content-Type": "text/html"}, b"<html>")) as page:
        broken, html, good = look(nobody, page.url("/1/html"), sqs.url("jobs"))
    assert (broken.reach.ok, html.reach.ok, good.reach.ok) == (False, False, True)
    assert broken.reach.category == "refused"
    assert html.reach.message == (
        "what answers is not JSON: an HTML page: not SQS's JSON protocol (HTTP 200)"
    )


def test_without_a_key_nothing_is_sent(
    sqs: Standin, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    (record,) = look(sqs.url("jobs"))
    assert record.reach.message == "no AWS credentials are set"
    assert sqs.asked == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqs.eu-west-1.amazonaws.com/1/jobs", "--sqs: this is not an http or https URL"),
        ("https://sqs.eu-west-1.amazonaws.com/", "--sqs: the URL names no queue"),
        ("https://AKIA:hush@sqs.eu-west-1.amazonaws.com/1/jobs", "--sqs: the URL holds a login"),
    ],
)
def test_urls_that_are_none(url: str, words: str) -> None:
    with pytest.raises(ScaledoctorError) as wrong:
        targets({"sqs": (url,)}, {})
    assert wrong.value.message == words
    assert "hush" not in str(wrong.value)
