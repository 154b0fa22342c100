"""Every option that names a target: one row, and ``scan`` and ``collect`` have it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from scaledoctor.errors import ScaledoctorError
from scaledoctor.targets.address import file_target, socket_or_url_target, url_target
from scaledoctor.targets.brokers import rabbitmq_target, sqs_target
from scaledoctor.targets.dsn_file import postgres_file_target
from scaledoctor.targets.machines import node_exporter_target, prometheus_target, with_others
from scaledoctor.targets.mysql import mysql_target
from scaledoctor.targets.postgres import (
    is_postgres,
    libpq_target,
    pgbouncer_target,
    postgres_of_environment,
    postgres_target,
)
from scaledoctor.targets.redis import is_redis, redis_target
from scaledoctor.targets.sql_log import sql_log_target
from scaledoctor.targets.target import HOST, Target


@dataclass(frozen=True, slots=True)
class Option:
    """One repeatable option: its name without dashes, what it takes, and its target.

    Without ``build`` it is no target of its own: it says more about one.
    """

    name: str
    metavar: str
    help: str
    build: Callable[[str], Target] | None


def _url(kind: str, words: str) -> Option:
    return Option(kind, "URL", words, partial(url_target, kind))


def _file(kind: str, words: str) -> Option:
    return Option(kind, "FILE", words, partial(file_target, kind))


OPTIONS: tuple[Option, ...] = (
    Option(
        "dsn",
        "DSN",
        "PostgreSQL (repeatable, as all targets are); without it DATABASE_URL or PG* are used. "
        "Keep the password in PGPASSWORD or ~/.pgpass: a command line is visible to others.",
        postgres_target,
    ),
    Option(
        "dsn-file",
        "FILE",
        "The same, read from a file that only you can read; - is stdin.",
        postgres_file_target,
    ),
    Option(
        "mysql",
        "DSN",
        "MySQL or MariaDB (mysql://user:password@host:3306/database, or "
        "mysql://user@/?unix_socket=/path); wants pip install 'scaledoctor[mysql]'.",
        mysql_target,
    ),
    Option("pgbouncer", "DSN", "PgBouncer's console, as one of its stats_users.", pgbouncer_target),
    _file("pgbouncer-ini", "PgBouncer's configuration."),
    Option(
        "haproxy",
        "URL",
        "HAProxy's stats page (http://user:password@host:8404/stats) or its stats socket "
        "(unix:/run/haproxy/admin.sock, tcp://host:9999).",
        partial(socket_or_url_target, "haproxy"),
    ),
    _file("haproxy-cfg", "HAProxy's configuration."),
    _url("nginx", "nginx's stub_status page."),
    _file("nginx-conf", "nginx's configuration; its includes are read too."),
    _url("envoy", "Envoy's admin interface."),
    _url("traefik", "Traefik's API, or its metrics page."),
    _url("caddy", "Caddy's admin API."),
    Option(
        "redis",
        "URL",
        "Redis or Valkey (redis://user:password@host:6379/0, rediss://, unix:/path/to/socket, "
        "redis+sentinel://host:26379/NAME); without any target REDIS_URL and CELERY_BROKER_URL "
        "are used.",
        redis_target,
    ),
    Option(
        "queue", "NAME", "A key of that Redis that is a queue of yours: list, set, stream.", None
    ),
    Option(
        "rabbitmq",
        "URL",
        "RabbitMQ's management API (http://user:password@host:15672), as a user with the tag "
        "monitoring.",
        rabbitmq_target,
    ),
    Option(
        "sqs",
        "URL",
        "A queue's URL of Amazon SQS or of what speaks like it; AWS_ACCESS_KEY_ID or "
        "~/.aws/credentials let us in.",
        sqs_target,
    ),
    Option(
        "node-exporter",
        "URL",
        "Another machine by its node_exporter (http://host:9100): CPU, memory, disks, network.",
        node_exporter_target,
    ),
    Option(
        "prometheus",
        "URL",
        "The same from the last minutes of Prometheus (http://host:9090?instance=db1:9100).",
        prometheus_target,
    ),
    _url("url", "A page of the application, asked a few times for its latency."),
    _file("access-log", "An access log of nginx, HAProxy, Envoy or a web server."),
    Option("log", "FILE", "PostgreSQL's log, in any of its formats.", sql_log_target),
)
"""Targets by option, in the order in which ``--help`` shows them."""

Given = Mapping[str, Sequence[str]]
"""What was given on the command line, by option name; absent options may be left out."""

Names = Mapping[tuple[str, str], str]
"""The name that an option's value was given, by option and value."""

NO_NAMES: Names = {}


def targets(
    given: Given, environment: Mapping[str, str], names: Names = NO_NAMES
) -> tuple[Target, ...]:
    """Return this host and every target that was given or, without a DSN, the environment's.

    DATABASE_URL comes first; PGHOST, PGDATABASE, PGSERVICE or PGUSER make libpq's own
    environment a target. REDIS_URL and CELERY_BROKER_URL are used where no target was given.

    Raises:
        ScaledoctorError: a value cannot be read.

    """
    found = [
        _called(o.build(value), names.get((o.name, value), ""))
        for o in OPTIONS
        if o.build
        for value in given.get(o.name, ())
    ]
    redis = [] if found else list(_redis_of(environment))
    if not given.get("dsn") and not given.get("dsn-file"):
        found = [*_from(environment), *found]
    return (HOST, *_distinct(with_others(_with_queues([*found, *redis], given.get("queue", ())))))


def _called(target: Target, name: str) -> Target:
    return replace(target, name=f"{target.kind}:{name}") if name else target


def _redis_of(environment: Mapping[str, str]) -> Iterator[Target]:
    urls = {environment.get(v, ""): v for v in ("CELERY_BROKER_URL", "REDIS_URL")}
    for url, variable in reversed(urls.items()):
        if is_redis(url):
            yield redis_target(url, variable)


def _with_queues(found: Sequence[Target], names: Sequence[str]) -> Sequence[Target]:
    """Tell the Redis targets which of their keys are queues."""
    if names and not any(target.kind == "redis" for target in found):
        raise ScaledoctorError(f"--queue {names[0]}: no Redis to look in", "add --redis URL")
    return [replace(t, names=tuple(names)) if t.kind == "redis" else t for t in found]


def _from(environment: Mapping[str, str]) -> Iterator[Target]:
    url = environment.get("DATABASE_URL", "")
    if is_postgres(url):
        yield postgres_of_environment(url, "DATABASE_URL")
    elif any(environment.get(v) for v in ("PGHOST", "PGDATABASE", "PGSERVICE", "PGUSER")):
        yield libpq_target(environment)


def _distinct(found: Sequence[Target]) -> list[Target]:
    """Number targets of the same name from the second on."""
    seen: dict[str, int] = {}
    result: list[Target] = []
    for target in found:
        seen[target.name] = n = seen.get(target.name, 0) + 1
        result.append(target if n == 1 else replace(target, name=f"{target.name}#{n}"))
    return result
