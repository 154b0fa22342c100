"""The launcher of PostgreSQL: versions, accounts, settings, standby, and what it leaves behind."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from scaledoctor.demo.servers import (
    PostgresBinaries,
    PostgresServer,
    ServerFailed,
    ServerMissing,
    find_postgres,
    postgres,
    standby_of,
)
from scaledoctor.demo.servers.workspace import PREFIX

pytestmark = pytest.mark.live

PARENT = """
import sys, time
from pathlib import Path
from scaledoctor.demo.servers import postgres
with postgres(bindir=Path(sys.argv[1])) as server:
    print(server.pid, server.data.parent, flush=True)
    time.sleep(60)
"""


def gone(pid: int) -> bool:
    """True when the process has ended; a dead one that nobody has reaped yet counts."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def soon_gone(pid: int) -> bool:
    """True when the process ends within ten seconds."""
    deadline = time.monotonic() + 10
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return gone(pid)


def parent_of_a_server(bindir: Path) -> tuple["subprocess.Popen[str]", int, Path]:
    """A process of its own that runs a server: it, the server's pid, the server's folder."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(bindir)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid, folder = parent.stdout.readline().split()
    return parent, int(pid), Path(folder)


def test_a_server_runs_as_the_version_its_folder_holds(
    postgres_server: PostgresServer, pg_binaries: PostgresBinaries
) -> None:
    """A connection reaches the version that was asked for, with both modules preloaded."""
    with psycopg.connect(postgres_server.dsn()) as connection:
        version = connection.info.server_version // 10_000
        row = connection.execute("SHOW shared_preload_libraries").fetchone()
    assert version == postgres_server.major == pg_binaries.major
    assert row == ("pg_stat_statements,auto_explain",)


def test_the_port_is_below_the_ephemeral_range(postgres_server: PostgresServer) -> None:
    """No outgoing connection of another program can sit on a server's port."""
    assert 20_000 <= postgres_server.port < 32_000


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has an account to drop")
def test_root_is_dropped(postgres_server: PostgresServer) -> None:
    """Started by root, the server and its folder belong to an unprivileged account."""
    assert psutil.Process(postgres_server.pid).uids().real != 0
    assert postgres_server.data.stat().st_uid != 0
    assert postgres_server.data.parent.stat().st_mode & 0o077 == 0


def test_dsn_escapes_its_parts(postgres_server: PostgresServer) -> None:
    """Application names and options with spaces and signs arrive as they were given."""
    dsn = postgres_server.dsn(application_name="a b/c?&", options="-c work_mem=8MB")
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT current_setting('application_name'), current_setting('work_mem')"
        ).fetchone()
    assert row == ("a b/c?&", "8MB")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another account")
def test_binaries_in_a_private_folder_are_copied(pg18: PostgresServer, tmp_path: Path) -> None:
    """Programs below a 0700 folder run all the same, and its permissions stay as they are."""
    package = pg18.bindir.parent.parent
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    ignored = shutil.ignore_patterns("include", "*.a", "pgxs")
    shutil.copytree(pg18.bindir.parent, private / package.name / "pginstall", ignore=ignored)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, private / libraries.name)
    with postgres(bindir=private / package.name / "pginstall" / "bin") as server:
        assert server.data.parent in server.bindir.parents
        with psycopg.connect(server.dsn()) as connection:
            connection.execute("CREATE EXTENSION pg_stat_statements")
    assert private.stat().st_mode & 0o777 == 0o700


def test_settings_override_and_nothing_is_left(pg18: PostgresServer) -> None:
    """Settings with quotes reach the server; after the block its process and folder are gone."""
    settings: dict[str, str | int] = {
        "max_connections": 17,
        "cluster_name": "it's \\ one",
        "fsync": "off",
    }
    with postgres(bindir=pg18.bindir, settings=settings) as server:
        with psycopg.connect(server.dsn()) as connection:
            row = connection.execute(
                "SELECT current_setting('max_connections'), current_setting('cluster_name')"
            ).fetchone()
        assert row == ("17", "it's \\ one")
    assert gone(server.pid)
    assert not server.data.parent.exists()


def test_an_exception_in_the_block_stops_the_server(pg18: PostgresServer) -> None:
    """An error in the caller's code passes through, and process and folder are gone."""
    started: list[PostgresServer] = []

    def fail() -> None:
        with postgres(bindir=pg18.bindir) as server:
            started.append(server)
            raise LookupError("the caller's own")

    with pytest.raises(LookupError, match="the caller's own"):
        fail()
    assert gone(started[0].pid)
    assert not started[0].data.parent.exists()


def test_a_server_that_cannot_start_shows_its_log(pg18: PostgresServer, tmp_path: Path) -> None:
    """A wrong setting gives one error with the server's own words, and leaves no folder."""
    before = set(tmp_path.parent.glob(f"{PREFIX}*"))
    with (
        pytest.raises(ServerFailed, match="no_such_library"),
        postgres(bindir=pg18.bindir, settings={"shared_preload_libraries": "no_such_library"}),
    ):
        pytest.fail("it must not start")
    assert set(tmp_path.parent.glob(f"{PREFIX}*")) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_parent_cleans_up(pg18: PostgresServer, number: signal.Signals) -> None:
    """SIGTERM and SIGINT unwind: server and folder are gone before the parent ends."""
    parent, pid, folder = parent_of_a_server(pg18.bindir)
    with parent:
        parent.send_signal(number)
    assert gone(pid)
    assert not folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of a parent's death")
def test_a_killed_parent_leaves_no_server_and_the_next_run_sweeps(pg18: PostgresServer) -> None:
    """After kill -9 the server stops by itself; its folder goes when a later run finds it old."""
    parent, pid, folder = parent_of_a_server(pg18.bindir)
    with parent:
        parent.kill()
    assert soon_gone(pid)
    os.utime(folder, (0, 0))
    with postgres(bindir=pg18.bindir):
        assert not folder.exists()


def test_a_standby_replays_its_primary(postgres_server: PostgresServer) -> None:
    """A standby is in recovery and streams from its primary."""
    with standby_of(postgres_server) as standby:
        assert standby.port != postgres_server.port
        with psycopg.connect(standby.dsn()) as connection:
            assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
        with psycopg.connect(postgres_server.dsn()) as connection:
            rows = connection.execute("SELECT state FROM pg_stat_replication").fetchall()
    assert rows == [("streaming",)]


def test_the_given_folder_comes_first(
    pg_binaries: PostgresBinaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """$SCALEDOCTOR_PG_BIN is preferred, and a folder found twice is listed once."""
    monkeypatch.setenv("SCALEDOCTOR_PG_BIN", str(pg_binaries.bindir))
    found = find_postgres()
    assert (found[0].origin, found[0].major) == ("SCALEDOCTOR_PG_BIN", pg_binaries.major)
    assert len({binaries.bindir.resolve() for binaries in found}) == len(found)


def test_a_folder_without_postgres_is_a_clear_error(tmp_path: Path) -> None:
    """The error says where it looked and how to install."""
    with pytest.raises(ServerMissing, match="pip install") as raised, postgres(bindir=tmp_path):
        pytest.fail("it must not start")
    assert str(tmp_path) in str(raised.value)
    assert raised.value.install_line == "pip install 'scaledoctor[demo]'"
