"""MariaDB with a fault in it: the first finding, its object, and quiet on a healthy load."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pymysql
import pytest

from scaledoctor.demo.servers import MariadbServer, mariadb
from scaledoctor.model import Finding, Severity
from tests.mysql import SCHEMA, clients, connect, report, run
from tests.servers import needs_servers
from tests.sources.pg import until

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def server() -> Iterator[MariadbServer]:
    """A server that counts statements, with forty connections."""
    words = ["--performance-schema=ON", "--max-connections=40"]
    with needs_servers(), mariadb(words) as one:
        run(one, *SCHEMA, "CREATE USER web@'%'", "GRANT ALL ON shop.* TO web@'%'")
        yield one


def first(server: MariadbServer, window: float) -> Finding:
    """What a scan names as the bottleneck."""
    found = report(server.url(), window)
    assert found.diagnoses, found.verdict
    return found.diagnoses[0].finding


def test_a_healthy_load_is_quiet(server: MariadbServer) -> None:
    """Look-ups by the primary key from four clients, and a transaction open for a moment."""
    with (
        clients(server, 4, "SELECT n FROM shop.stock WHERE id = 1", user="web"),
        connect(server, "web", autocommit=False) as other,
    ):
        other.cursor().execute("UPDATE shop.stock SET n = 5 WHERE id = 2")
        found = report(server.url(), 3.0)
    assert [d.finding.summary for d in found.diagnoses] == []
    assert [r.summary for r in found.risks] == []


def test_a_forgotten_transaction(server: MariadbServer) -> None:
    """It changed a row and does nothing; five others want that row."""
    with connect(server, "root", autocommit=False) as holder:
        holder.cursor().execute("UPDATE shop.stock SET n = 1 WHERE id = 1")
        statement = "UPDATE shop.stock SET n = n - 1 WHERE id = 1"
        with clients(server, 5, statement, user="web"):
            until(lambda: waits(server) == 5)
            finding = first(server, 2.0)
            holder.rollback()
    assert (finding.check, finding.subject) == ("mysql.lock-wait", "root@localhost")
    assert finding.severity is Severity.CRITICAL
    assert "locks of shop.stock (web@localhost), and does nothing" in finding.summary
    assert finding.fixes[0].commands == (f"KILL CONNECTION {holder.thread_id()};",)


def waits(server: MariadbServer) -> int:
    """How many wait for a row lock."""
    with connect(server) as one, one.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")
        return int(cursor.fetchone()[1])


def test_a_schema_change_behind_a_reader(server: MariadbServer) -> None:
    """A transaction that only read holds the table's definition; all others queue."""
    with connect(server, "root", autocommit=False) as reader:
        reader.cursor().execute("SELECT count(*) FROM shop.stock")
        time.sleep(1.1)
        with (
            clients(server, 1, "ALTER TABLE shop.stock ADD COLUMN IF NOT EXISTS x int"),
            clients(server, 4, "SELECT n FROM shop.stock WHERE id = 1", user="web"),
        ):
            until(lambda: states(server, "metadata lock") >= 4)
            finding = first(server, 2.0)
            reader.rollback()
    assert (finding.check, finding.subject) == ("mysql.lock-wait", "root@localhost")
    assert f"(thread {reader.thread_id()})" in finding.summary


def states(server: MariadbServer, words: str) -> int:
    """How many threads are in such a state."""
    with connect(server) as one, one.cursor() as cursor:
        query = "SELECT count(*) FROM information_schema.processlist WHERE state LIKE %s"
        cursor.execute(query, [f"%{words}%"])
        return int(cursor.fetchone()[0])


def test_a_statement_without_an_index(server: MariadbServer) -> None:
    """Sixty thousand rows are looked at for thirty."""
    with clients(server, 3, "SELECT sum(amount) FROM shop.orders WHERE customer = 7", user="web"):
        found = report(server.url(), 3.0)
    root = found.diagnoses[0].finding
    assert root.check == "mysql.slow-statement"
    assert root.subject.startswith("SELECT SUM ( `amount` ) FROM `shop` . `orders`")
    assert "7" not in root.subject
    assert "it looks at 60,000 rows" in root.summary or "it looks at 59," in root.summary
    index = "CREATE INDEX `orders_customer` ON `shop`.`orders` (`customer`);"
    assert root.fixes[0].commands[-1].startswith(index)
    run(server, index)  # the advice is followed, and the trouble is gone
    with clients(server, 3, "SELECT sum(amount) FROM shop.orders WHERE customer = 7", user="web"):
        assert "mysql.slow-statement" not in [d.finding.check for d in
                                              report(server.url(), 3.0).diagnoses]  # fmt: skip
    run(server, root.fixes[0].undo)


def test_connections_that_sleep(server: MariadbServer) -> None:
    """Thirty-nine of forty: whose they are, and that they do nothing."""
    with ExitStack() as stack:
        for _ in range(38):
            stack.enter_context(connect(server, "web"))
        finding = first(server, 0.5)
    assert (finding.check, finding.subject) == ("mysql.connections-exhausted", "web@localhost")
    assert finding.severity is Severity.CRITICAL
    assert "web@localhost holds 38, 38 of them asleep" in finding.summary


def test_no_connection_is_left(server: MariadbServer) -> None:
    """The refusal is itself the finding."""
    with ExitStack() as stack:
        with suppress(pymysql.err.OperationalError):
            for _ in range(60):
                stack.enter_context(connect(server, "web"))
        found = report(server.url("web"), 0.0)
    finding = found.diagnoses[0].finding
    assert finding.check == "mysql.connections-exhausted"
    assert finding.summary == "MySQL refuses new connections (1040: Too many connections)"
    assert found.headroom[0].resource == "mysql.connections"
