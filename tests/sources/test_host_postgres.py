"""PostgreSQL's processes and their clients, on a real server of this machine."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from scaledoctor.demo.servers import PostgresServer
from scaledoctor.sdk import Redactor
from scaledoctor.sources.host import PostgresTitles, Process, Processes
from scaledoctor.sources.host._diag import tcp
from scaledoctor.sources.host._sockets import _from_proc
from scaledoctor.sources.host.processes import processes
from scaledoctor.sources.host.session import PROC, HostSession
from scaledoctor.sources.host.titles import postgres_titles
from scaledoctor_checks.host._groups import members
from tests.servers import StartPgBouncer

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(sys.platform != "linux", reason="the host is read through /proc"),
]

CLIENT = """
import sys, psycopg
with psycopg.connect(sys.argv[1]) as connection:
    connection.execute("SELECT 1")
    print("ready", flush=True)
    while True: pass
"""


@contextmanager
def busy_client(dsn: str) -> Iterator[int]:
    """A process that holds a connection and burns CPU; its pid."""
    child = subprocess.Popen([sys.executable, "-c", CLIENT, dsn], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        yield child.pid
    finally:
        child.kill()
        child.communicate()


@contextmanager
def another_user() -> Iterator[None]:
    """Look as nobody does, where we are root."""
    if os.geteuid() != 0:
        pytest.skip("needs root to look as another user")
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def two_readings() -> Processes:
    here = HostSession(Redactor())

    async def both() -> Processes:
        await processes(here)
        await asyncio.sleep(0.6)
        return await processes(here)

    return asyncio.run(both())


def titles_now() -> PostgresTitles:
    async def once() -> PostgresTitles:
        return await postgres_titles(HostSession(Redactor()))

    return asyncio.run(once())


def by_pid(found: Processes, pid: int) -> Process:
    return next(p for p in found.processes if p.pid == pid)


def test_titles_tell_who_is_connected(postgres_server: PostgresServer) -> None:
    """User, database, state, the server's process and port; no login needed."""
    with psycopg.connect(postgres_server.dsn()) as connection:
        connection.execute("SELECT 1")
        titles = titles_now()
        mine = connection.info.backend_pid
    backend = next(b for b in titles.backends if b.pid == mine)
    assert (backend.user, backend.database) == ("postgres", "postgres")
    assert backend.state == "idle in transaction"
    assert backend.client == "127.0.0.1"
    assert (backend.port, backend.postmaster) == (postgres_server.port, postgres_server.pid)
    assert postgres_server.port in titles.ports


def test_a_tcp_client_is_told_by_its_connection(postgres_server: PostgresServer) -> None:
    """The port of the server is a database's; who holds a connection to it is a member."""
    with busy_client(postgres_server.dsn()) as pid:
        found = two_readings()
    assert postgres_server.port in found.databases
    assert postgres_server.port in (by_pid(found, pid).peers or ())
    assert pid in members(found)
    assert postgres_server.pid in members(found)


def test_a_client_on_the_unix_socket_is_told_too(postgres_server: PostgresServer) -> None:
    """No TCP connection exists; the kernel's socket diagnosis pairs the two ends."""
    folder = postgres_server.data.parent
    dsn = f"host={folder} port={postgres_server.port} user=postgres dbname=postgres"
    with busy_client(dsn) as pid:
        found = two_readings()
    assert postgres_server.port in (by_pid(found, pid).peers or ())
    assert pid in members(found)


def test_another_user_still_sees_that_it_may_be_a_client(pg18: PostgresServer) -> None:
    """Descriptors are closed to others: the connection's owner is what the kernel tells all."""
    with busy_client(pg18.dsn()) as pid, another_user():
        found = two_readings()
        titles = titles_now()
    assert by_pid(found, pid).peers is None
    assert pg18.port in found.databases, "by the name of its unix socket"
    assert 0 in found.clients
    assert pid in members(found)
    assert titles.backends


def test_a_poolers_client_is_the_databases_client(
    pg18: PostgresServer, start_pgbouncer: StartPgBouncer
) -> None:
    """The pooler's port counts however idle the pooler is."""
    pooler = start_pgbouncer(pg18)
    with busy_client(pooler.dsn()) as pid:
        found = two_readings()
    assert pooler.port in found.databases
    assert by_pid(found, pid).peers == (pooler.port,)
    assert pid in members(found)


def test_both_ways_to_the_socket_table_agree() -> None:
    """sock_diag where the kernel has it, /proc/net/tcp where not: the same rows."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            inode = str(os.fstat(client.fileno()).st_ino)
            quick, slow = tcp()[inode], _from_proc(PROC / "self")[inode]
    assert (quick.state, quick.port, quick.peer_port, quick.uid) == (
        slow.state,
        slow.port,
        slow.peer_port,
        slow.uid,
    )
    assert quick.peer_port == port
    assert (quick.address == quick.peer) is (slow.address == slow.peer) is True
