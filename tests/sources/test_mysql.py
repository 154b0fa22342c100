"""MySQL's source on a real MariaDB: facts, guards, roles, and every way of being refused."""

import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pymysql
import pytest

from scaledoctor.demo.servers import MariadbServer, mariadb
from scaledoctor.errors import ScaledoctorError
from scaledoctor.loop import run as run_loop
from scaledoctor.redact import Redactor
from scaledoctor.sdk import Unavailable
from scaledoctor.snapshot import Record
from scaledoctor.sources.mysql import (
    MysqlDigests,
    MysqlLocks,
    MysqlServer,
    MysqlStatus,
    MysqlThreads,
)
from scaledoctor.sources.mysql._literals import without_literals
from scaledoctor.sources.mysql.session import mysql
from scaledoctor.targets import targets
from scaledoctor.targets.mysql import mysql_target
from tests.mysql import PASSWORD, SCHEMA, connect, record, run
from tests.servers import needs_servers
from tests.sources.pg import last, readings, until

USERS = (
    f"CREATE USER watcher@'%' IDENTIFIED BY '{PASSWORD}'",
    "GRANT PROCESS ON *.* TO watcher@'%'",
    "GRANT SELECT ON performance_schema.* TO watcher@'%'",
    f"CREATE USER plain@'%' IDENTIFIED BY '{PASSWORD}'",
)


@pytest.fixture(scope="module")
def server() -> Iterator[MariadbServer]:
    """A server that counts statements, with an account that may look and one that may not."""
    with needs_servers(), mariadb(["--performance-schema=ON", "--max-connections=40"]) as one:
        run(one, *SCHEMA, *USERS)
        yield one


def watcher(server: MariadbServer) -> str:
    """The URL of the account that may look."""
    return server.url("watcher", PASSWORD)


pytestmark = pytest.mark.live


def test_what_a_scan_reads(server: MariadbServer) -> None:
    """Server, counters, threads and statements; ours are not among them."""
    with connect(server) as one, one.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM shop.orders WHERE customer = 7")
        found = record(watcher(server), 0.6)
    about = last(found, MysqlServer)
    assert (about.name, about.account, about.max_connections) == ("MariaDB", "'watcher'@'%'", 40)
    assert about.sees_all
    assert about.counts_statements
    status = readings(found, MysqlStatus)
    assert status.last.of("Threads_connected") >= 2
    assert (status.delta(lambda s: s.of("Questions")) or 0) > 0
    (thread,) = last(found, MysqlThreads).threads
    assert (thread.user, thread.command, thread.active) == ("root", "Sleep", False)
    texts = " ".join(d.text for d in last(found, MysqlDigests).digests)
    assert "`customer` = ?" in texts
    assert "processlist" not in texts
    assert last(found, MysqlLocks) == MysqlLocks(())
    assert not found.skips


def test_over_the_socket(server: MariadbServer) -> None:
    """Without a password, as root on its machine."""
    assert record(server.socket_url()).reach.ok


def test_nobody_can_write_through_it(server: MariadbServer) -> None:
    """The session is read-only, and gives up by itself."""

    async def attempt() -> tuple[str, str]:
        said = []
        async with mysql.function(mysql_target(server.url()), Redactor()) as my:
            for statement in ("DELETE FROM shop.stock", "SELECT sleep(9)"):
                try:
                    await my.rows(statement)
                    said.append("it went through")
                except Unavailable as no:
                    said.append(no.reason)
        return said[0], said[1]

    wrote, slept = run_loop(attempt())
    assert "READ ONLY" in wrote
    assert "max_statement_time" in slept


def test_an_account_without_rights_is_told(server: MariadbServer) -> None:
    """What it cannot see is skipped with the grant."""
    found = record(server.url("plain", PASSWORD))
    assert not last(found, MysqlServer).sees_all
    (skip,) = [s for s in found.skips if s.what == "MysqlDigests"]
    assert skip.enable == "GRANT SELECT ON performance_schema.* TO 'plain'@'%';"


def test_statements_have_no_literals(server: MariadbServer) -> None:
    """In quotes of both kinds; numbers, too."""
    told = threading.Event()

    def slow() -> None:
        with connect(server) as one, one.cursor() as cursor:
            told.set()
            cursor.execute("SELECT sleep(3) /* why */ FROM shop.stock WHERE id=1 AND 'a'!=\"b\"")

    thread = threading.Thread(target=slow)
    thread.start()
    told.wait(10)
    found = record(watcher(server), 1.0)
    thread.join(10)
    queries = [t.query for fact in readings(found, MysqlThreads) for t in fact.threads if t.active]
    assert "SELECT sleep(?) FROM shop.stock WHERE id=? AND ?!=?" in queries


@pytest.mark.parametrize(
    ("statement", "clean"),
    [
        ("SELECT `a1`, b2 FROM t WHERE x = 0xFF", "SELECT `a1`, b2 FROM t WHERE x = ?"),
        ("SELECT 'it''s', \"a\\\"b\", N'x' -- why\n", "SELECT ?, ?, ?"),
        ("SELECT 'open", "SELECT ?"),
        ("SELECT -1.5e3, t.1a # why", "SELECT ?, t.1a"),
    ],
)
def test_literals(statement: str, clean: str) -> None:
    """Names in backticks stay; everything quoted goes."""
    assert without_literals(statement) == clean


def refused(url: str) -> Record:
    """A scan that was not let in."""
    found = record(url)
    assert not found.reach.ok
    assert PASSWORD not in repr(found)
    return found


def test_a_wrong_password(server: MariadbServer) -> None:
    """One line, with the user in it and not the password."""
    reach = refused(server.url("watcher", "wrong")).reach
    assert (reach.category, reach.code) == ("auth", "1045")
    assert reach.message.startswith("Access denied for user 'watcher'")
    assert "password" in reach.enable


def test_an_unknown_database(server: MariadbServer) -> None:
    """Its name is in the line."""
    reach = refused(server.url("watcher", PASSWORD, "nowhere")).reach
    assert reach.category in ("database", "auth")
    assert "nowhere" in reach.message


def test_nobody_listens() -> None:
    """A closed port."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    reach = refused(f"mysql://u:{PASSWORD}@127.0.0.1:{port}/").reach
    assert reach.category == "refused"
    assert "is the server running" in reach.enable


def test_an_unknown_host() -> None:
    """No address."""
    reach = refused(f"mysql://u:{PASSWORD}@nowhere.invalid/").reach
    assert (reach.category, reach.message) == ("dns", "cannot resolve the host")


@contextmanager
def answering(answer: bytes | None) -> Iterator[int]:
    """A port that says this to whoever comes, or nothing at all."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as stack:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client = stack.enter_context(listening.accept()[0])
                    if answer is not None:
                        client.sendall(answer)
                        client.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.mark.parametrize(
    ("answer", "category"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", ("protocol", "refused")),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", ("protocol", "refused")),
        (b"", ("refused",)),
        (b"\x05\x00\x00\x00\x0a", ("refused", "protocol")),
        (None, ("timeout",)),
    ],
    ids=["http", "ssh", "hangs up", "half a greeting", "mute"],
)
def test_what_is_not_mysql(answer: bytes | None, category: tuple[str, ...]) -> None:
    """One line says that nothing there speaks MySQL."""
    with answering(answer) as port:
        reach = refused(f"mysql://u:{PASSWORD}@127.0.0.1:{port}/").reach
    assert reach.category in category, reach
    assert "MySQL" in reach.message, reach
    assert reach.enable


def test_without_the_client_library(server: MariadbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that installs it."""
    monkeypatch.setitem(sys.modules, "pymysql", None)
    reach = refused(server.url()).reach
    assert reach.enable == "pip install 'scaledoctor[mysql]'"


def certificate(folder: Path, name: str) -> Path:
    """A self-signed certificate for a host, which another account can read."""
    folder.chmod(0o755)
    crt = folder / f"{name}.crt"
    keys = ["-nodes", "-days", "2", "-keyout", str(folder / f"{name}.key"), "-out", str(crt)]
    names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", *keys, *names]
    subprocess.run(command, check=True, capture_output=True)
    (folder / f"{name}.key").chmod(0o644)
    return crt


def test_over_tls() -> None:
    """Used where the server has it; with ssl_ca the certificate is checked."""
    with tempfile.TemporaryDirectory() as name:
        own, other = certificate(Path(name), "own"), certificate(Path(name), "other")
        words = [f"--ssl-cert={own}", f"--ssl-key={Path(name) / 'own.key'}"]
        with needs_servers(), mariadb([*words, "--require-secure-transport=ON"]) as server:
            assert record(server.url()).reach.ok
            assert record(f"{server.url()}?ssl_ca={own}").reach.ok
            reach = refused(f"{server.url()}?ssl_ca={other}").reach
    assert reach.category == "tls"
    assert "certificate" in reach.message.lower()


def test_no_connection_is_left(server: MariadbServer) -> None:
    """The refusal is a finding's evidence: category and code."""
    with ExitStack() as stack:
        with suppress(pymysql.err.OperationalError):
            for _ in range(60):  # one more than all is kept for administrators
                stack.enter_context(connect(server, "plain", password=PASSWORD))
        reach = refused(watcher(server)).reach
    assert (reach.category, reach.code) == ("slots", "1040")
    until(lambda: record(watcher(server)).reach.ok)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgres://u@h/", "not a MySQL URL"),
        ("mysql://u:p@h:port/", "cannot be read"),
        ("mysql://u:p/w@h/", "sign that cuts the URL"),
        ("mysql:///shop", "neither a host nor a socket"),
        ("mysql://h/shop?unix_socket=/run/x", "both a host and a socket"),
        ("mysql://h/shop?ssl_ca=/x", "ssl_ca names no file"),
    ],
)
def test_urls_that_cannot_be_read(url: str, words: str) -> None:
    """One line that never repeats the URL."""
    with pytest.raises(ScaledoctorError, match=words) as caught:
        mysql_target(url)
    assert "p/w" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "name", "address", "port"),
    [
        ("mysql://u:p@db.example/shop", "mysql:shop", "mysql://db.example:3306/shop", None),
        ("mariadb://u@127.0.0.1:3307/", "mysql", "mysql://127.0.0.1:3307", 3307),
        ("mysql2://u:p%40w@[::1]/s?encoding=utf8&pool=5", "mysql:s", "mysql://[::1]:3306/s", 3306),
        ("mysql://u@/shop?unix_socket=/run/m.sock", "mysql:shop", "unix:/run/m.sock", 0),
    ],
)
def test_urls(url: str, name: str, address: str, port: int | None) -> None:
    """As applications write them; the address holds no login."""
    (target,) = targets({"mysql": [url]}, {})[1:]
    assert (target.name, target.address, target.local_port) == (name, address, port)
