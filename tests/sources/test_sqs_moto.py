"""The stand-in held against moto, which is too large to be installed for every run.

``pip install 'moto[server,sqs]'`` takes 325 MB.
"""

import http.client
import importlib.util
import json
import sys
from collections.abc import Iterator

import pytest

from scaledoctor.collect import collect
from scaledoctor.demo.servers.child import Command, accepts, child, free_port
from scaledoctor.redact import Redactor
from scaledoctor.registry import load
from scaledoctor.sources.queues import Queue, Queues
from scaledoctor.targets import targets

pytestmark = pytest.mark.slow

ACCOUNT = "123456789012"


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """moto's server, if this Python has it."""
    if importlib.util.find_spec("moto") is None:
        pytest.skip("moto is not installed (pip install 'moto[server,sqs]')")
    port, folder = free_port(), tmp_path_factory.mktemp("moto")
    command: Command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with child(command, folder=folder, ready=lambda: accepts(port)):
        yield port


def ask(port: int, action: str, **body: object) -> dict[str, object]:
    """What only somebody who sets up a queue asks."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    scope = "Credential=k/20260101/us-east-1/sqs/aws4_request"
    headers = {
        "X-Amz-Target": f"AmazonSQS.{action}",
        "Content-Type": "application/x-amz-json-1.0",
        "Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0",
    }
    connection.request("POST", "/", json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, text
    found: dict[str, object] = json.loads(text) if text else {}
    return found


def test_moto_is_read_as_the_stand_in_is(moto: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "made-up")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    redrive = {"deadLetterTargetArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:jobs-dlq",
               "maxReceiveCount": 3}  # fmt: skip
    ask(moto, "CreateQueue", QueueName="jobs-dlq")
    ask(moto, "CreateQueue", QueueName="jobs", Attributes={"RedrivePolicy": json.dumps(redrive)})
    jobs, dead = (f"http://127.0.0.1:{moto}/{ACCOUNT}/{name}" for name in ("jobs", "jobs-dlq"))
    for number in range(12):
        ask(moto, "SendMessage", QueueUrl=jobs, MessageBody=str(number))
    ask(moto, "SendMessage", QueueUrl=jobs, MessageBody="later", DelaySeconds=600)
    ask(moto, "SendMessage", QueueUrl=dead, MessageBody="failed")
    ask(moto, "ReceiveMessage", QueueUrl=jobs, MaxNumberOfMessages=4)
    gone = f"http://127.0.0.1:{moto}/{ACCOUNT}/gone"
    found = [t for t in targets({"sqs": (jobs, dead, gone)}, {}) if t.kind == "sqs"]
    first, second, third = collect(found, load(), Redactor(), 0.0).records
    own = Queue("sqs", "jobs", ready=8, in_flight=4, scheduled=1, timeout=30.0)
    grave = Queue("sqs", "jobs-dlq", ready=0, dead=1)
    assert first.samples["Queues"][-1][1] == Queues((own, grave))
    assert second.samples["Queues"][-1][1] == Queues((grave,))
    assert first.samples["SqsQueues"][-1][1].queue.most_receives == 3
    assert third.reach.message == "there is no such queue"
