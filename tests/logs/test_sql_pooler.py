"""PgBouncer's own log, as a real one writes it."""

import time
from contextlib import ExitStack, suppress

import psycopg
import pytest

from scaledoctor.demo.servers import PostgresServer
from scaledoctor.logs.sql.chunks import analyze_chunk
from scaledoctor.logs.sql.recognise import recognise
from scaledoctor.logs.sql.summary import summary
from scaledoctor.redact import Redactor
from tests.servers import StartPgBouncer

pytestmark = pytest.mark.live


def test_logins_ends_and_refusals(pg18: PostgresServer, start_pgbouncer: StartPgBouncer) -> None:
    """Five clients, and those that found neither a free slot nor their database."""
    pooler = start_pgbouncer(pg18, ini={"max_client_conn": 8})
    for _ in range(5):
        with psycopg.connect(pooler.dsn()) as client:
            client.execute("SELECT 1")
    with ExitStack() as stack, suppress(psycopg.OperationalError):
        for _ in range(12):
            stack.enter_context(psycopg.connect(pooler.dsn()))
    time.sleep(0.3)
    data = pooler.log.read_bytes()
    layout = recognise(data.splitlines())
    assert layout.name == "PgBouncer"
    total = analyze_chunk(data, layout)
    total.finish()
    log = summary(total, Redactor(), layout.shown)
    assert log.connections >= 13
    assert log.sessions >= 13
    assert log.owners["postgres@postgres"] >= 13
    assert any("no more connections allowed" in p.message for p in log.problems)
