"""What it means when RabbitMQ does not let us in, in one line."""

import shlex
from urllib.parse import unquote, urlsplit

from scaledoctor.sdk import Unavailable, Unreachable
from scaledoctor.sources._http import Answer

LOGIN = (
    "put user:password@ into the URL; in it write @ as %40, / as %2F, : as %3A, # as %23, ? as %3F"
)
NOT_IT = "give the management API: http://user:password@host:15672, or with its path_prefix"
ENABLE = "rabbitmq-plugins enable rabbitmq_management, then http://user:password@host:15672"


MOST_SECONDS = 1.0
"""For eight bytes to AMQP's port and its answer."""


def tag(user: str) -> str:
    """The command that lets a user see everything and change nothing."""
    return f"rabbitmqctl set_user_tags {shlex.quote(user)} monitoring"


def permit(user: str, vhost: str) -> str:
    """The command that shows a user the queues of a virtual host.

    It may neither change, publish nor consume there (seen with 3.10).
    """
    return f"rabbitmqctl set_permissions -p {shlex.quote(vhost)} {shlex.quote(user)} '^$' '^$' '^$'"


def user_of(url: str) -> str:
    """The user that a URL names, empty without one."""
    return unquote(urlsplit(url).username or "")


def judge(answer: Answer, path: str, user: str) -> None:
    """Raise what an answer of the management API means when it is not 200.

    Raises:
        Unreachable: a refusal or a redirect.
        Unavailable: another status.

    """
    if answer.status in (401, 403):
        raise _refusal(_reason(answer), user, str(answer.status))
    if 300 <= answer.status < 400:
        words = f"{path} is redirected (HTTP {answer.status})"
        raise Unreachable("redirect", words, str(answer.status), NOT_IT)
    if answer.status >= 500:
        raise Unavailable(f"{path} answers HTTP {answer.status}", "its log says why")
    if answer.status != 200:
        raise Unavailable(f"{path} answers HTTP {answer.status}", NOT_IT)


def _reason(answer: Answer) -> str:
    try:
        found = answer.json("")
    except Unavailable:
        return ""
    return str(found.get("reason", "")) if isinstance(found, dict) else ""


def _refusal(reason: str, user: str, code: str) -> Unreachable:
    if not user:
        return Unreachable("auth", "it wants a user and a password", code, LOGIN)
    if "localhost" in reason:
        words = f"user {user} may log in from the broker's own machine alone"
        enable = f"make another: rabbitmqctl add_user scaledoctor; {tag('scaledoctor')}"
        return Unreachable("auth", words, code, enable)
    if "Not management user" in reason:
        words = f"user {user} may not use the management API: it has no tag"
        return Unreachable("role", words, code, tag(user))
    if "Not monitor" in reason or "Not administrator" in reason:
        words = f"user {user} may not see this: it has the tag management, not monitoring"
        return Unreachable("role", words, code, tag(user))
    if "virtual host" in reason:
        words = f"user {user} has no permission on the virtual host"
        return Unreachable("role", words, code, permit(user, "VHOST"))
    return Unreachable("auth", "wrong user or password", code, LOGIN)


async def explain(no: Unreachable, url: str) -> Unreachable:
    """The same, in clearer words when the port is AMQP's own."""
    parts = urlsplit(url)
    if no.category in ("protocol", "refused") and await _speaks_amqp(parts.hostname, parts.port):
        words = "this port speaks AMQP; the management API has another one, 15672 by default"
        return Unreachable("protocol", words, "", ENABLE)
    return no


async def _speaks_amqp(host: str | None, port: int | None) -> bool:
    """RabbitMQ answers any eight bytes that are not AMQP's own with the version that it speaks."""
    import asyncio

    try:
        async with asyncio.timeout(MOST_SECONDS):
            reader, writer = await asyncio.open_connection(host, port or 80)
            try:
                writer.write(b"GET / HT")
                return (await reader.read(4)) == b"AMQP"
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
