"""Change settings of our own PgBouncer, HAProxy and Redis while they run, as people do."""

import re
import socket
from collections.abc import Mapping

from scaledoctor.demo.servers import Haproxy, PgBouncer, RedisServer

SECONDS = 5.0


def configure(pooler: PgBouncer, settings: Mapping[str, str | int]) -> None:
    """Write settings into the section [pgbouncer] of the pooler's file and reload it."""
    import psycopg

    pooler.ini.write_text(with_settings(pooler.ini.read_text(), settings))
    # The console knows neither transactions nor prepared statements.
    with psycopg.connect(pooler.dsn(dbname="pgbouncer"), autocommit=True) as console:
        console.execute("RELOAD")


def with_settings(ini: str, settings: Mapping[str, str | int]) -> str:
    """The text with other values in its section [pgbouncer].

    In their place, for a section that is opened a second time begins with the defaults of all
    settings, those of the first time included.
    """
    before, head, section = ini.partition("[pgbouncer]\n")
    for name, value in settings.items():
        section = re.sub(rf"(?m)^{re.escape(name)}\s*=.*\n", "", section)
        section = f"{name} = {value}\n{section}"
    return before + head + section


def changeable(pooler: PgBouncer) -> set[str]:
    """The names of the settings that a reload changes."""
    import psycopg

    with psycopg.connect(pooler.dsn(dbname="pgbouncer"), autocommit=True) as console:
        return {row[0] for row in console.execute("SHOW CONFIG") if row[-1] == "yes"}


def change(cache: RedisServer, name: str, value: str) -> str:
    """Change a setting of the cache; why it refuses, or nothing."""
    import redis

    with redis.Redis(port=cache.port) as console:
        try:
            console.config_set(name, value)
        except redis.RedisError as error:
            return str(error)
    return ""


def admin(balancer: Haproxy) -> str:
    """The balancer's socket that takes commands; see `scaledoctor.demo.topology`."""
    return f"{balancer.socket}.admin"


def tell(balancer: Haproxy, command: str) -> str:
    """Give a command to the balancer and return its answer, empty when it obeys."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(SECONDS)
        channel.connect(admin(balancer))
        channel.sendall(f"{command}\n".encode())
        with channel.makefile(encoding="utf-8", errors="replace") as answer:
            return answer.read().strip()
