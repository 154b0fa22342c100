"""Every option that names a target: one row, and ``scan`` and ``collect`` have it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from scaledoctor.targets.address import file_target, socket_or_url_target, url_target
from scaledoctor.targets.postgres import (
    is_postgres,
    libpq_target,
    pgbouncer_target,
    postgres_target,
)
from scaledoctor.targets.target import HOST, Target


@dataclass(frozen=True, slots=True)
class Option:
    """One repeatable option: its name without dashes, what it takes, and its target."""

    name: str
    metavar: str
    help: str
    build: Callable[[str], Target]


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
    _url("url", "A page of the application, asked a few times for its latency."),
    _file("access-log", "An access log of nginx, HAProxy, Envoy or a web server."),
)
"""Targets by option, in the order in which ``--help`` shows them."""

Given = Mapping[str, Sequence[str]]
"""What was given on the command line, by option name; absent options may be left out."""


def targets(given: Given, environment: Mapping[str, str]) -> tuple[Target, ...]:
    """Return this host and every target that was given or, without a DSN, the environment's.

    DATABASE_URL comes first; PGHOST, PGDATABASE, PGSERVICE or PGUSER make libpq's own
    environment a target.

    Raises:
        ScaledoctorError: a value cannot be read.

    """
    found = [option.build(value) for option in OPTIONS for value in given.get(option.name, ())]
    if not given.get("dsn"):
        found = [*_from(environment), *found]
    return (HOST, *_distinct(found))


def _from(environment: Mapping[str, str]) -> Iterator[Target]:
    url = environment.get("DATABASE_URL", "")
    if is_postgres(url):
        yield postgres_target(url)
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
