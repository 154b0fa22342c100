"""RabbitMQ's management API and queues of Amazon SQS."""

from dataclasses import replace
from urllib.parse import urlsplit

from scaledoctor.errors import ScaledoctorError
from scaledoctor.targets.address import url_target
from scaledoctor.targets.target import Target

MANAGEMENT = "give the management API: http://user:password@host:15672"
QUEUE_URL = "give the queue's URL: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"


def rabbitmq_target(url: str) -> Target:
    """Build a target from the URL of a management API, with a login in it.

    Raises:
        ScaledoctorError: AMQP's URL, or none at all; the message never repeats it.

    """
    if url.lower().startswith(("amqp:", "amqps:")):
        raise ScaledoctorError("--rabbitmq: this URL is AMQP's", MANAGEMENT)
    # The management page has its place in it behind a #, which is not for the server.
    return replace(url_target("rabbitmq", url), dsn=url.partition("#")[0])


def sqs_target(url: str) -> Target:
    """Build a target from a queue's URL; its host is the endpoint, Amazon's or another one.

    Raises:
        ScaledoctorError: not a URL, or one that names no queue.

    """
    target = url_target("sqs", url)
    if "@" in urlsplit(url).netloc:
        raise ScaledoctorError("--sqs: the URL holds a login", "SQS wants AWS_ACCESS_KEY_ID")
    names = [part for part in urlsplit(url).path.split("/") if part]
    if len(names) < 2:
        raise ScaledoctorError("--sqs: the URL names no queue", QUEUE_URL)
    return replace(target, name=f"sqs:{names[-1]}")
