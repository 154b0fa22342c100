"""A stand-in for Amazon SQS: the real wire format of two actions, and signatures that are checked.

SQS has no server that can be run here in reasonable size: moto is 325 MB (tests/sources/
test_sqs_moto.py). The answers below were written down from Amazon's documents and from moto.
"""

import asyncio
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from scaledoctor.demo.servers.child import free_port

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
ACCOUNT = "123456789012"

MISMATCH = {
    "__type": "com.amazon.coral.service#InvalidSignatureException",
    "message": "The request signature we calculated does not match the signature you provided.",
}


@dataclass
class Standin:
    """A running stand-in: its queues' attributes by name, and all that it was asked.

    ``grows`` is by how many messages a queue is longer each time that it is looked at.
    """

    port: int
    queues: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)
    grows: dict[str, int] = field(default_factory=dict)
    error: tuple[int, str, str] | None = None

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}/{name}"

    def add(self, name: str, **changes: str) -> None:
        """A queue with the attributes that every one has."""
        usual = {
            "ApproximateNumberOfMessages": "0",
            "ApproximateNumberOfMessagesNotVisible": "0",
            "ApproximateNumberOfMessagesDelayed": "0",
            "CreatedTimestamp": "1779000000",
            "DelaySeconds": "0",
            "LastModifiedTimestamp": "1779000000",
            "MaximumMessageSize": "262144",
            "MessageRetentionPeriod": "345600",
            "QueueArn": arn(name),
            "ReceiveMessageWaitTimeSeconds": "0",
            "SqsManagedSseEnabled": "true",
            "VisibilityTimeout": "30",
        }
        self.queues[name] = usual | changes

    def answer(self, target: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and answer of one action."""
        self.asked.append((target, body))
        if self.error:
            status, kind, words = self.error
            return status, {"__type": kind, "message": words}
        name = str(body["QueueUrl"]).rpartition("/")[2]
        if name in self.hidden:
            return 400, {
                "__type": "com.amazon.coral.service#AccessDeniedException",
                "Message": f"User: arn:aws:iam::{ACCOUNT}:user/x is not authorized to perform: "
                f"sqs:getqueueattributes on resource: {arn(name)}",
            }
        if name not in self.queues:
            return 400, {
                "__type": "com.amazonaws.sqs#QueueDoesNotExist",
                "message": "The specified queue does not exist.",
            }
        if target == "AmazonSQS.ListDeadLetterSourceQueues":
            into = json.dumps(arn(name))
            mine = [n for n, q in self.queues.items() if into in q.get("RedrivePolicy", "")]
            return 200, {"queueUrls": [self.url(n) for n in mine]}
        found = self.queues[name]
        if name in self.grows:
            depth = int(found["ApproximateNumberOfMessages"]) + self.grows[name]
            found["ApproximateNumberOfMessages"] = str(depth)
        return 200, {"Attributes": found}


def arn(name: str) -> str:
    return f"arn:aws:sqs:eu-west-1:{ACCOUNT}:{name}"


def redrive(name: str, most: int = 5) -> str:
    """A RedrivePolicy as Amazon gives it."""
    return json.dumps({"deadLetterTargetArn": arn(name), "maxReceiveCount": most})


def rightly_signed(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Check Signature Version 4 from what came over the wire, as the receiver does."""
    words = headers["authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(", ")
    said = dict(word.split("=", 1) for word in words)
    key, *scope = said["Credential"].split("/")
    names = said["SignedHeaders"].split(";")
    needed = {"host", "x-amz-date", "x-amz-target", "content-type"}
    if key != KEY or not needed <= set(names):
        return False
    lines = [f"{name}:{headers[name].strip()}" for name in names]
    digest = hashlib.sha256(body).hexdigest()
    request = "\n".join([method, path, "", *lines, "", said["SignedHeaders"], digest])
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], "/".join(scope),
                      hashlib.sha256(request.encode()).hexdigest()])  # fmt: skip
    secret = b"AWS4" + SECRET.encode()
    for part in scope:
        secret = hmac.digest(secret, part.encode(), "sha256")
    return hmac.new(secret, text.encode(), "sha256").hexdigest() == said["Signature"]


async def serve(
    server: Standin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """One connection, kept alive."""
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
            pairs = (line.split(": ", 1) for line in rest if ": " in line)
            headers = {name.lower(): value for name, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            method, path, _ = first.split(" ")
            if rightly_signed(method, path, headers, body):
                status, found = server.answer(headers["x-amz-target"], json.loads(body))
            else:
                status, found = 403, MISMATCH
            text = json.dumps(found).encode()
            writer.write(
                b"HTTP/1.1 %d -\r\nContent-Type: application/x-amz-json-1.0\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (status, len(text), text)
            )
            await writer.drain()
    writer.close()


@contextmanager
def standin() -> Iterator[Standin]:
    """A stand-in on loopback, in a thread with a loop of its own, until the block ends."""
    server, started, ended = Standin(free_port()), threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        listening = await asyncio.start_server(
            lambda r, w: serve(server, r, w), "127.0.0.1", server.port
        )
        async with listening:
            started.set()
            await ended.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    try:
        assert started.wait(10)
        yield server
    finally:
        loops[0].call_soon_threadsafe(ended.set)
        thread.join(10)
