"""The admin console of a real PgBouncer: what is asked of it, and every way to be refused."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest

from scaledoctor.collect import collect
from scaledoctor.demo.servers import PgBouncer, PostgresServer
from scaledoctor.redact import Redactor
from scaledoctor.registry import load
from scaledoctor.snapshot import Record, dumps
from scaledoctor.sources.pgbouncer import (
    PoolerClients,
    PoolerConfig,
    PoolerPools,
    PoolerProcess,
    PoolerServers,
)
from scaledoctor.targets.postgres import pgbouncer_target
from tests.servers import StartPgBouncer

pytestmark = pytest.mark.live

REGISTRY = load()


def record(dsn: str, window: float = 0.0) -> Record:
    """What a collection reads from that console."""
    (found,) = collect([pgbouncer_target(dsn)], REGISTRY, Redactor(), window).records
    return found


@contextmanager
def open_clients(dsn: str, count: int) -> Iterator[list[psycopg.Connection]]:
    """So many clients that have asked nothing yet."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(psycopg.connect(dsn, prepare_threshold=None)) for _ in range(count)
        ]


def console(pooler: PgBouncer) -> str:
    """As a user who may only look."""
    return pooler.dsn("stats", "pgbouncer")


def test_every_fact_is_read_by_a_user_who_may_only_look(
    pg18: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """Two edges, samples in between; the backends' pids are PostgreSQL's own."""
    pooler = start_pgbouncer(pg18)
    with open_clients(pooler.dsn(application_name="app"), 3) as clients:
        row = clients[0].execute("SELECT pg_backend_pid()").fetchone()
        found = record(console(pooler), 1.0)
    assert row is not None
    assert not found.skips
    assert not found.failures
    counts = {name: len(samples) for name, samples in found.samples.items()}
    assert counts["PoolerPools"] == counts["PoolerLists"] == 3
    assert all(counts[f"Pooler{n}"] == 2 for n in ("Clients", "Servers", "Stats", "Log"))
    assert all(counts[f"Pooler{n}"] == 1 for n in ("Config", "Databases", "Users", "Process"))
    pools: PoolerPools = found.samples["PoolerPools"][-1][1]
    servers: PoolerServers = found.samples["PoolerServers"][-1][1]
    groups: PoolerClients = found.samples["PoolerClients"][-1][1]
    config: PoolerConfig = found.samples["PoolerConfig"][-1][1]
    process: PoolerProcess = found.samples["PoolerProcess"][-1][1]
    assert pools.pools[0].active == 1
    assert row[0] in servers.pools[0].pids
    assert [(g.label, g.holding, g.idle) for g in groups.groups] == [("app", 1, 2)]
    assert config.version >= (1, 15, 0)
    assert process.pid == pooler.pid
    assert max(cost.slowest for cost in found.costs.values()) < 1.0


def test_only_shows_are_sent_and_the_pooler_notices_no_error(
    pg18: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """No invalid command, no prepared statement, no start-up option in its log."""
    pooler = start_pgbouncer(pg18)
    os.environ["PGOPTIONS"] = "-c statement_timeout=1s"
    try:
        assert record(console(pooler), 1.0).reach.ok
    finally:
        del os.environ["PGOPTIONS"]
    log = pooler.log.read_text()
    assert "pooler error" not in log
    assert "invalid command" not in log


def test_the_console_answers_when_the_clients_limit_is_reached(
    pg18: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """Every place is taken, and we still get in."""
    pooler = start_pgbouncer(pg18, ini={"max_client_conn": 3})
    with open_clients(pooler.dsn(), 3) as clients:
        for client in clients:
            client.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError, match="no more connections"):
            psycopg.connect(pooler.dsn())
        assert record(console(pooler)).reach.ok


def test_hundreds_of_clients_make_one_row(
    pg18: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """300 clients that idle: one group, and a snapshot no larger for them."""
    pooler = start_pgbouncer(pg18, ini={"max_client_conn": 1000})
    few = len(dumps(collect([pgbouncer_target(console(pooler))], REGISTRY, Redactor(), 0.0)))
    with open_clients(pooler.dsn(application_name="crowd"), 300):
        many = collect([pgbouncer_target(console(pooler))], REGISTRY, Redactor(), 0.0)
    groups: PoolerClients = many.records[0].samples["PoolerClients"][-1][1]
    assert [(g.label, g.idle) for g in groups.groups] == [("crowd", 300)]
    assert len(dumps(many)) < few + 3000


def test_a_database_in_the_dsn_is_a_mistake_worth_telling(
    pg18: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """Nothing is sent then; without any database the console's is taken."""
    pooler = start_pgbouncer(pg18)
    reach = record(pooler.dsn("stats", "shop")).reach
    assert reach.message == "the DSN names the database shop, the console's name is pgbouncer"
    assert "--dsn for PostgreSQL" in reach.enable
    assert record(f"host=127.0.0.1 port={pooler.port} user=stats").reach.ok


def test_a_real_postgres_is_told_as_such(pg18: PostgresServer) -> None:
    """Also one that has a database of that name."""
    assert "no PgBouncer" in record(pg18.dsn(dbname="pgbouncer")).reach.message
    with psycopg.connect(pg18.dsn(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE pgbouncer")
        try:
            reach = record(pg18.dsn(dbname="pgbouncer")).reach
        finally:
            admin.execute("DROP DATABASE pgbouncer WITH (FORCE)")
    assert "it answers as version 18" in reach.message
    assert "--dsn" in reach.enable


def test_a_user_who_may_not_look(pg18: PostgresServer, start_pgbouncer: StartPgBouncer) -> None:
    """The fix is a line of pgbouncer.ini."""
    pooler = start_pgbouncer(pg18, ini={"admin_users": "root", "stats_users": "stats"})
    reach = record(pooler.dsn("postgres", "pgbouncer")).reach
    assert (reach.category, reach.message) == ("auth", "this user may not use PgBouncer's console")
    assert "stats_users = postgres" in reach.enable


def test_a_wrong_password(pg18: PostgresServer, start_pgbouncer: StartPgBouncer) -> None:
    """Never repeated."""
    pooler = start_pgbouncer(pg18, ini={"auth_type": "plain"})
    reach = record(f"{console(pooler)}?password=hunter2").reach
    assert reach.category == "auth"
    assert "hunter2" not in f"{reach.message}{reach.enable}"


def test_nobody_listens() -> None:
    """One line."""
    reach = record("postgresql://stats@127.0.0.1:1/pgbouncer").reach
    assert (reach.category, reach.message) == ("refused", "Connection refused")


def test_a_listener_that_never_answers() -> None:
    """It takes the connection and stays silent."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        reach = record(f"postgresql://stats@127.0.0.1:{port}/pgbouncer").reach
    assert reach.category == "timeout"
    assert "no answer within" in reach.message


def test_a_pooler_that_freezes_in_the_middle_costs_one_deadline(
    pg18: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """Stopped after the login: what was not read is a skip, and nothing hangs."""
    pooler = start_pgbouncer(pg18)

    def freeze(_target: str, doing: str, _share: float) -> None:
        if doing == "sampling":
            os.kill(pooler.pid, signal.SIGSTOP)

    try:
        (found,) = collect(
            [pgbouncer_target(console(pooler))], REGISTRY, Redactor(), 0.5, freeze
        ).records
    finally:
        os.kill(pooler.pid, signal.SIGCONT)
    assert found.reach.ok
    assert "PoolerConfig" in found.samples
    assert {s.reason for s in found.skips} == {"PgBouncer did not answer SHOW POOLS within 2 s"}
    assert not found.failures


def test_a_pooler_that_ends_in_the_middle(
    pg18: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """The same for a lost connection."""
    pooler = start_pgbouncer(pg18)

    def end(_target: str, doing: str, _share: float) -> None:
        if doing == "sampling":
            os.kill(pooler.pid, signal.SIGKILL)

    (found,) = collect([pgbouncer_target(console(pooler))], REGISTRY, Redactor(), 0.5, end).records
    assert {s.reason.partition(":")[0] for s in found.skips} == {"connection to PgBouncer lost"}
    assert not found.failures
