"""What one scan costs its target, on 50 and on 10,000 tables."""

import time

import psycopg

from scaledoctor.demo.servers import PostgresServer, postgres
from scaledoctor.engine import scan
from scaledoctor.redact import Redactor
from scaledoctor.registry import Registry, load
from scaledoctor.targets import targets

COST = """
SELECT sum(calls), sum(total_exec_time), max(max_exec_time)
FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid WHERE r.rolname = 'scan'
"""


def measure(server: PostgresServer, registry: Registry, tables: int) -> tuple[float, ...]:
    """Return statements, their milliseconds, the longest, sessions opened and wall seconds."""
    name = f"with_{tables}"
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    with psycopg.connect(server.dsn(dbname=name), autocommit=True) as admin:
        admin.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        for start in range(0, tables, 500):
            # One transaction cannot hold the locks of 10,000 new tables.
            count = min(500, tables - start)
            admin.execute(
                f"DO $$ BEGIN FOR i IN {start}..{start + count - 1} LOOP EXECUTE format("
                "'CREATE TABLE t%s (id int PRIMARY KEY, a int)', i); END LOOP; END $$".encode()
            )
        for i in range(0, tables, max(1, tables // 40)):
            admin.execute(f"SELECT * FROM t{i} WHERE a = 1".encode())
        admin.execute("SELECT pg_stat_statements_reset()")
        before = sessions(admin)
        began = time.monotonic()
        scan(targets({"dsn": [server.dsn("scan", name)]}, {}), registry, Redactor(), 10.0)
        wall = time.monotonic() - began
        time.sleep(1.5)  # a backend reports its session a moment after it has ended
        row = admin.execute(COST).fetchone()
        assert row is not None
        return (*map(float, row), sessions(admin) - before, wall)


def sessions(admin: psycopg.Connection) -> int:
    """Sessions ever begun in this database."""
    row = admin.execute(
        "SELECT sessions FROM pg_stat_database WHERE datname = current_database()"
    ).fetchone()
    assert row is not None
    return int(row[0])


def main() -> None:
    """Print one line per size and the ratios."""
    registry = load()
    with postgres(settings={"max_locks_per_transaction": "512"}) as server:
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            admin.execute("CREATE ROLE scan LOGIN IN ROLE pg_monitor")
        small, large = (measure(server, registry, n) for n in (50, 10_000))
    labels = ("statements", "database ms", "longest ms", "sessions", "wall s")
    print(f"{'one scan, window 10 s':22} {'50 tables':>12} {'10,000':>12} {'ratio':>7}")
    for label, a, b in zip(labels, small, large, strict=True):
        print(f"{label:22} {a:12.1f} {b:12.1f} {b / a if a else 0:7.2f}")


if __name__ == "__main__":
    main()
