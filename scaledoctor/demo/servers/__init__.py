"""Real servers as ephemeral children: a free port, a temp folder, nothing left behind."""

from scaledoctor.demo.servers.binaries import PostgresBinaries, find_postgres
from scaledoctor.demo.servers.bouncer import PgBouncer, pgbouncer
from scaledoctor.demo.servers.child import ServerFailed, ServerMissing
from scaledoctor.demo.servers.haproxy import Haproxy, balancer_cfg, find_haproxy, haproxy
from scaledoctor.demo.servers.mariadb import MariadbServer, mariadb
from scaledoctor.demo.servers.pg import PostgresServer, postgres, standby_of
from scaledoctor.demo.servers.rabbitmq import RabbitServer, rabbitmq
from scaledoctor.demo.servers.redis import RedisServer, find_redis, redis

__all__ = [
    "Haproxy",
    "MariadbServer",
    "PgBouncer",
    "PostgresBinaries",
    "PostgresServer",
    "RabbitServer",
    "RedisServer",
    "ServerFailed",
    "ServerMissing",
    "balancer_cfg",
    "find_haproxy",
    "find_postgres",
    "find_redis",
    "haproxy",
    "mariadb",
    "pgbouncer",
    "postgres",
    "rabbitmq",
    "redis",
    "standby_of",
]
