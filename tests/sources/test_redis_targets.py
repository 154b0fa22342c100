"""URLs of Redis as users write them, from the command line and from the environment."""

import pytest

from scaledoctor.errors import ScaledoctorError
from scaledoctor.sources.redis._connect import Place, place
from scaledoctor.targets import Target, targets

AT, SLASH, PLAIN = "s@e", "s/e", "secret"


def target(url: str) -> Target:
    """What --redis makes of it."""
    return targets({"redis": [url]}, {})[1]


FORMS: dict[str, tuple[str, str, Place]] = {
    "redis://cache": ("redis", "redis://cache:6379", Place("cache", 6379)),
    "REDIS://cache:1/0": ("redis", "redis://cache:1/0", Place("cache", 1, db=0)),
    "valkey://cache:1/2": ("redis:2", "redis://cache:1/2", Place("cache", 1, db=2)),
    "redis://cache:1?db=3": ("redis:3", "redis://cache:1/3", Place("cache", 1, db=3)),
    "redis://:s%40e@cache:1/": (
        "redis", "redis://cache:1", Place("cache", 1, password=AT),
    ),
    "redis://me:s%2Fe@[::1]:1/2": (
        "redis:2", "redis://[::1]:1/2", Place("::1", 1, db=2, username="me", password=SLASH),
    ),
    "rediss://cache:1/0?ssl_cert_reqs=CERT_NONE&health_check_interval=3": (
        "redis", "rediss://cache:1/0", Place("cache", 1, db=0, tls={"ssl_cert_reqs": "none"}),
    ),
    "valkeys://cache:1?ssl_ca_certs=/a.pem": (
        "redis", "rediss://cache:1", Place("cache", 1, tls={"ssl_ca_certs": "/a.pem"}),
    ),
    "unix:/run/redis.sock": ("redis", "unix:/run/redis.sock", Place(path="/run/redis.sock")),
    "unix://:secret@/run/redis.sock?db=2": (
        "redis:2", "unix:/run/redis.sock?db=2",
        Place(path="/run/redis.sock", db=2, password=PLAIN),
    ),
    "redis+socket:///run/redis.sock?virtual_host=1": (
        "redis:1", "unix:/run/redis.sock?db=1", Place(path="/run/redis.sock", db=1),
    ),
    "redis+sentinel://:secret@sentry/shop/2": (
        "redis:2", "redis+sentinel://sentry:26379/shop/2",
        Place("sentry", 26379, db=2, password=PLAIN, master="shop"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("url", "expected"), FORMS.items(), ids=FORMS)
def test_forms_of_urls(url: str, expected: tuple[str, str, Place]) -> None:
    """A name for the report, an address without secrets, and where to connect."""
    name, address, where = expected
    found = target(url)
    assert (found.kind, found.name, found.address) == ("redis", name, address)
    assert place(found.dsn) == where
    assert found.named
    assert "secret" not in repr(found)


BROKEN = {
    "http://cache:6379": "not a Redis URL",
    "cache:6379": "not a Redis URL",
    "": "not a Redis URL",
    "redis://": "names no host",
    "redis://:6379": "names no host",
    "redis://cache:port": "cannot be read",
    "redis://cache:99999": "cannot be read",
    "redis://cache/zero": "is a number",
    "redis://cache/-1": "is a number",
    "redis://cache/1/2": "is a number",
    "redis://cache?db=x": "is a number",
    "redis://me:hun/ter2@cache": "cuts the URL",
    "redis://me:hun@ter2@cache": "cuts the URL",
    "redis://me:hun#ter2@cache": "cuts the URL",
    "redis://me:12?hunter2@cache": "cuts the URL",
    "unix:redis.sock": "names no socket",
    "unix:": "names no socket",
    "redis+sentinel://sentry": "does not name the Sentinel's master",
    "redis://[cache": "cannot be read",
}


@pytest.mark.parametrize(("url", "words"), BROKEN.items(), ids=repr)
def test_broken_urls_give_one_line(url: str, words: str) -> None:
    """What is wrong and what to write; never the URL, which may hold a password."""
    with pytest.raises(ScaledoctorError, match=words) as caught:
        target(url)
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.hint
    assert not any(part in line for part in ("hun", "ter2", "cache:port"))


ENVIRONMENT = {
    "REDIS_URL": "redis://cache/0",
    "CELERY_BROKER_URL": "redis://broker/1",
}


def names(given: dict[str, list[str]], environment: dict[str, str]) -> list[str]:
    """The addresses of all targets but the host."""
    return [t.address for t in targets(given, environment)[1:]]


def test_the_environment_is_used_without_any_target() -> None:
    """REDIS_URL first, then Celery's broker; each once."""
    assert names({}, ENVIRONMENT) == ["redis://cache:6379/0", "redis://broker:6379/1"]
    same = dict.fromkeys(ENVIRONMENT, "redis://cache/0")
    assert names({}, same) == ["redis://cache:6379/0"]
    assert all(t.named for t in targets({}, ENVIRONMENT)[1:])


def test_the_environment_is_left_alone_when_a_target_was_given() -> None:
    """Whoever names one means that one."""
    assert names({"dsn": ["postgresql://db/shop"]}, ENVIRONMENT) == ["db:5432/shop"]
    assert names({"redis": ["redis://mine"]}, ENVIRONMENT) == ["redis://mine:6379"]


def test_another_brokers_url_is_none_of_ours() -> None:
    """Celery on RabbitMQ; an empty variable."""
    assert names({}, {"CELERY_BROKER_URL": "amqp://broker", "REDIS_URL": ""}) == []


def test_a_broken_variable_is_named() -> None:
    """The line says which one."""
    with pytest.raises(ScaledoctorError, match="REDIS_URL: the database"):
        names({}, {"REDIS_URL": "redis://cache/x"})


def test_queues_are_told_to_every_redis() -> None:
    """--queue is no target; it needs one."""
    found = targets({"queue": ["a", "b"]}, ENVIRONMENT)[1:]
    assert [t.names for t in found] == [("a", "b"), ("a", "b")]
    with pytest.raises(ScaledoctorError, match="--queue a: no Redis"):
        targets({"queue": ["a"], "dsn": ["postgresql://db/shop"]}, {})
