"""Whatever answers in RabbitMQ's place: one clear line each, and the rest of the scan goes on."""

import socket
from contextlib import ExitStack

import pytest

from scaledoctor.collect import collect
from scaledoctor.demo.servers.child import free_port
from scaledoctor.errors import ScaledoctorError
from scaledoctor.redact import Redactor
from scaledoctor.registry import load
from scaledoctor.snapshot import Record, dumps
from scaledoctor.targets import targets
from tests.rabbit import Broker
from tests.sources.pages import Answer, Asked, site

REGISTRY = load()

JSON = {"Content-Type": "application/json"}

NOT_IT = "give the management API: http://user:password@host:15672, or with its path_prefix"


def page(asked: Asked, count: int) -> Answer:
    """Pages that are not RabbitMQ's, by the first part of their path."""
    kinds = {
        "html": Answer(200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><title>x</title>"),
        "other": Answer(200, JSON, b'{"version": "1"}'),
        "list": Answer(200, JSON, b"[]"),
        "moved": Answer(301, {"Location": "https://elsewhere.example/"}, b""),
        "broken": Answer(503, {}, b"hush"),
        "forbidden": Answer(403, {}, b"hush"),
        "cut": Answer(0),
    }
    return kinds[asked.path.split("/")[1]]


WANTED = {
    "good": (True, "", "", ""),
    "password": (False, "auth", "wrong user or password", "put user:password@ into the URL"),
    "anonymous": (False, "auth", "it wants a user and a password", "put user:password@ into"),
    "untagged": (False, "role", "user untagged may not use the management API: it has no tag",
                 "rabbitmqctl set_user_tags untagged monitoring"),
    "amqp": (False, "protocol", "this port speaks AMQP; the management API has another one, "
             "15672 by default", "rabbitmq-plugins enable rabbitmq_management"),
    "tls": (False, "tls", "it does not speak TLS on this port", "use http:// here"),
    "prefix": (False, "answer", "/rabbit/api/overview answers HTTP 404", NOT_IT),
    "html": (False, "answer", "what answers is not JSON: an HTML page: not RabbitMQ's management "
             "API", NOT_IT),
    "other": (False, "answer", "this is not RabbitMQ's management API", NOT_IT),
    "list": (False, "answer", "this is not RabbitMQ's management API", NOT_IT),
    "moved": (False, "redirect", "/moved/api/overview is redirected (HTTP 301)", NOT_IT),
    "broken": (False, "answer", "/broken/api/overview answers HTTP 503", "its log says why"),
    "forbidden": (False, "auth", "wrong user or password", "put user:password@"),
    "cut": (False, "protocol", "what answers does not speak HTTP", ""),
    "silent": (False, "timeout", "no answer within 3 s", ""),
    "closed": (False, "refused", "nothing listens there", "is it running"),
    "unknown": (False, "dns", "the host name cannot be resolved", "check the host name in the URL"),
}  # fmt: skip


@pytest.fixture(scope="module")
def records(broker: Broker) -> dict[str, Record]:
    """All of them in one collection, beside one that lets us in."""
    broker.vhost("good")
    with broker.channel("good") as channel:
        channel.queue_declare("mail", durable=True)
    broker.user("untagged", "")
    with ExitStack() as stack:
        web = stack.enter_context(site(page))
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        api, amqp = broker.server.api_port, broker.server.port
        urls = {
            "good": broker.server.url("good", "good"),
            "password": broker.server.url("good", "hush"),
            "anonymous": f"http://127.0.0.1:{api}",
            "untagged": broker.server.url("untagged", "untagged"),
            "amqp": f"http://good:good@127.0.0.1:{amqp}",
            "tls": f"https://good:good@127.0.0.1:{api}",
            "prefix": broker.server.url("good", "good") + "/rabbit/",
            **{name: f"http://u:hush@127.0.0.1:{web.port}/{name}" for name in
               ("html", "other", "list", "moved", "broken", "forbidden", "cut")},
            "silent": f"http://u:hush@127.0.0.1:{silent.getsockname()[1]}",
            "closed": f"http://u:hush@127.0.0.1:{free_port()}",
            "unknown": "http://u:hush@no-such-host.invalid:15672",
        }  # fmt: skip
        found = [t for t in targets({"rabbitmq": tuple(urls.values())}, {})
                 if t.kind == "rabbitmq"]  # fmt: skip
        snapshot = collect(found, REGISTRY, Redactor(), 0.0)
    assert b"hush" not in dumps(snapshot)
    return dict(zip(urls, snapshot.records, strict=True))


@pytest.mark.live
@pytest.mark.parametrize("name", WANTED)
def test_one_clear_line_each(name: str, records: dict[str, Record]) -> None:
    """What, where, what to do; the one beside it is read all the same."""
    ok, category, words, enable = WANTED[name]
    record = records[name]
    assert (record.reach.ok, record.reach.category) == (ok, category)
    assert record.reach.message.startswith(words)
    assert enable in record.reach.enable
    assert "\n" not in record.reach.message
    assert record.failures == ()
    assert ("RabbitQueues" in record.samples) is ok


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("amqp://guest:hush@localhost:5672/", "--rabbitmq: this URL is AMQP's"),
        ("localhost:15672", "--rabbitmq: this is not an http or https URL"),
        ("http://u:hu/sh@localhost:15672", "--rabbitmq: user or password holds a sign that cuts"),
        ("http://u:hu#sh@localhost:15672", "--rabbitmq: user or password holds a sign that cuts"),
        ("http://u:hu?sh@localhost:15672", "--rabbitmq: user or password holds a sign that cuts"),
    ],
)
def test_urls_that_are_none(url: str, words: str) -> None:
    with pytest.raises(ScaledoctorError) as wrong:
        targets({"rabbitmq": (url,)}, {})
    assert wrong.value.message.startswith(words)
    assert "hu" not in str(wrong.value)


@pytest.mark.live
@pytest.mark.parametrize("tail", ["", "/", "/api", "/api/", "/#/queues"])
def test_urls_as_people_copy_them(broker: Broker, tail: str) -> None:
    """From the address bar too."""
    (target,) = [t for t in targets({"rabbitmq": (broker.server.url() + tail,)}, {})
                 if t.kind == "rabbitmq"]  # fmt: skip
    assert "guest" not in target.address
    (record,) = collect([target], REGISTRY, Redactor(), 0.0).records
    assert record.reach.ok
