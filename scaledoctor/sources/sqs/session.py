"""Amazon SQS by its JSON protocol: two actions, and no message is ever received."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from scaledoctor.sdk import Redactor, Target, Unavailable, Unreachable, source
from scaledoctor.sources._http import Answer, Http, http
from scaledoctor.sources.sqs._credentials import ENABLE, credentials, region
from scaledoctor.sources.sqs._sign import Credentials, Scope, signed

Action = Literal["GetQueueAttributes", "ListDeadLetterSourceQueues"]
"""All that is ever asked: ReceiveMessage would raise a message's receive count, and hide it."""

ALLOW = (
    'attach {"Effect": "Allow", "Action": ["sqs:GetQueueAttributes", '
    '"sqs:ListDeadLetterSourceQueues"], "Resource": "*"}'
)

# (part of the error's type or message, category, what it means, what to do); the first one wins.
_ERRORS = (
    ("NonExistentQueue", "queue", "there is no such queue", "is the URL right, and its region?"),
    ("QueueDoesNotExist", "queue", "there is no such queue", "is the URL right, and its region?"),
    ("InvalidAddress", "queue", "this is not the URL of a queue", "aws sqs list-queues"),
    ("ExpiredToken", "auth", "the token has expired", ENABLE),
    ("Signature expired", "clock", "this machine's clock is wrong", "timedatectl status"),
    ("Signature not yet current", "clock", "this machine's clock is wrong", "timedatectl status"),
    ("Credential should be scoped", "region", "the region is another one", "export AWS_REGION"),
    ("InvalidSignature", "auth", "the secret does not belong to the key", ENABLE),
    ("SignatureDoesNotMatch", "auth", "the secret does not belong to the key", ENABLE),
    ("InvalidClientToken", "auth", "there is no such key", ENABLE),
    ("UnrecognizedClient", "auth", "there is no such key", ENABLE),
    ("InvalidAccessKey", "auth", "there is no such key", ENABLE),
    ("AccessDenied", "role", "this key may not look at the queue", ALLOW),
    ("AuthorizationError", "role", "this key may not look at the queue", ALLOW),
)


@dataclass
class SqsSession:
    """A client, the queue's URL, and what to sign with."""

    web: Http
    redactor: Redactor
    url: str
    keys: Credentials
    region: str

    @property
    def spent(self) -> list[float]:
        """The seconds of each request."""
        return self.web.spent

    def other(self, name: str) -> str:
        """The URL of another queue of the same account."""
        return f"{self.url.rpartition('/')[0]}/{name}"

    async def attributes(self, url: str) -> dict[str, str]:
        """All attributes of a queue.

        Raises:
            Unreachable: a refusal, or no answer.
            Unavailable: another error, or something else than an answer of SQS.

        """
        found = await self.ask("GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])
        attributes = found.get("Attributes")
        if not isinstance(attributes, dict):
            raise Unavailable("this does not speak SQS's JSON protocol")
        return {str(name): str(value) for name, value in attributes.items()}

    async def ask(self, action: Action, **payload: Any) -> dict[str, Any]:
        """One action; the answer as an object."""
        body = json.dumps(payload).encode()
        headers = {
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": f"AmazonSQS.{action}",
        }
        scope = Scope(self.region, "sqs", datetime.now(UTC))
        root = urlunsplit((*urlsplit(self.url)[:2], "/", "", ""))
        headers = signed("POST", root, headers, body, self.keys, scope)
        return _judged(await self.web.ask("/", body, headers))


@source("sqs", SqsSession)
@asynccontextmanager
async def sqs(target: Target, redactor: Redactor) -> AsyncIterator[SqsSession]:
    """A queue of Amazon SQS, or of what speaks its protocol."""
    import os

    parts = urlsplit(target.dsn)
    keys = credentials(os.environ)
    async with http(target) as web:
        url = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
        session = SqsSession(
            web, redactor, url, keys, region((parts.hostname or "").lower(), os.environ)
        )
        await session.attributes(url)
        yield session


def _judged(answer: Answer) -> dict[str, Any]:
    try:
        found = answer.json("what answers")
    except Unavailable as no:
        words = f"{no.reason}: not SQS's JSON protocol (HTTP {answer.status})"
        raise Unavailable(words, "is this a queue's URL?") from None
    if answer.status == 200 and isinstance(found, dict):
        return found
    said = found if isinstance(found, dict) else {}
    kind = str(said.get("__type", "")).rpartition("#")[2] or f"HTTP {answer.status}"
    words = f"{kind} {answer.headers.get('x-amzn-query-error', '')} "
    words += str(said.get("message", said.get("Message", "")))
    for part, category, text, enable in _ERRORS:
        if part in words:
            raise Unreachable(category, text, kind, enable)
    raise Unavailable(f"SQS answers {kind}")
