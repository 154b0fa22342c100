"""Which commands of a fix a program carries out, and which it leaves to people."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis as client

from scaledoctor.demo.remedy import Applied, Ours, apply
from scaledoctor.demo.servers import PostgresServer, redis
from scaledoctor.demo.servers.child import Child
from scaledoctor.model import Fix
from tests.servers import needs_servers

NOT_OURS = "this is for people"


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Child]:
    """A process that a fix may touch."""
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(command) as process:
        yield Child(process.pid, tmp_path / "log", process)
        process.kill()


def shell(*commands: str) -> Fix:
    """A fix in shell."""
    return Fix("Do it", commands, language="shell")


def state(pid: int) -> str:
    """The letter of a process's state in /proc: T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_our_own_process_is_stopped_and_goes_on(sleeper: Child) -> None:
    """kill -STOP and -CONT of a known pid are carried out."""
    ours = Ours(children={sleeper.pid: sleeper})
    stop = f"kill -STOP {sleeper.pid}"
    assert apply(shell(stop), ours) == (Applied(stop),)
    os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED | os.WNOWAIT)
    assert state(sleeper.pid) == "T"
    go_on = f"kill -CONT {sleeper.pid}"
    assert apply(shell(go_on), ours) == (Applied(go_on),)
    os.waitid(os.P_PID, sleeper.pid, os.WCONTINUED)
    assert state(sleeper.pid) != "T"


def test_our_own_process_is_made_nice(sleeper: Child) -> None:
    """Renice of a known pid is carried out."""
    command = f"renice -n 19 -p {sleeper.pid}"
    assert apply(shell(command), Ours(children={sleeper.pid: sleeper})) == (Applied(command),)
    assert os.getpriority(os.PRIO_PROCESS, sleeper.pid) == 19


@pytest.mark.parametrize(
    "command",
    [
        "kill -STOP 1",
        "kill -STOP {pid} 1",
        "kill -KILL {pid}",
        "kill -STOP",
        "renice -n -5 -p {pid}",
        "rm -rf {file}",
        "echo max > {file}.other",
        "kill -STOP {pid}; rm {file}",
        "kill -STOP $(pidof postgres)",
    ],
)
def test_everything_else_of_the_shell_is_for_people(
    command: str, sleeper: Child, tmp_path: Path
) -> None:
    """Strangers' pids, other signals, other programs and other files are left alone."""
    file = tmp_path / "cpu.max"
    file.write_text("10000 100000")
    text = command.format(pid=sleeper.pid, file=file)
    done = apply(shell(text), Ours(children={sleeper.pid: sleeper}, files={str(file)}))
    assert done == (Applied(text, NOT_OURS),)
    assert sleeper.process.poll() is None
    assert [file] == list(tmp_path.iterdir())
    assert file.read_text() == "10000 100000"


def test_a_known_file_is_written(tmp_path: Path) -> None:
    """``echo -1 > FILE`` writes into a file that the stage made."""
    file = tmp_path / "cpu.cfs_quota_us"
    command = f"echo -1 > {file}"
    assert apply(shell(command), Ours(files={str(file)})) == (Applied(command),)
    assert file.read_text() == "-1"


def test_text_is_for_people_and_comments_are_no_commands() -> None:
    """A change in an application's configuration is reported, not carried out."""
    fix = Fix("Pool", ("# most sessions busy at once: 3", "max_pool_size = 5"), language="ini")
    assert apply(fix, Ours()) == (Applied("max_pool_size = 5", NOT_OURS),)


@pytest.mark.live
def test_sql_runs_as_superuser_and_a_failure_is_told(pg18: PostgresServer) -> None:
    """Each command runs by itself; comments are skipped; what fails says why."""
    fix = Fix(
        "Limit it",
        (
            "CREATE ROLE remedied CONNECTION LIMIT 3;",
            "-- then the same again",
            "SELECT * FROM nowhere;",
            "ALTER ROLE remedied CONNECTION LIMIT 2;",
        ),
    )
    done = apply(fix, Ours(pg18.dsn()))
    assert [one.command[:6] for one in done] == ["CREATE", "SELECT", "ALTER "]
    assert [bool(one.problem) for one in done] == [False, True, False]
    assert "nowhere" in done[1].problem
    with psycopg.connect(pg18.dsn(), autocommit=True) as admin:
        row = admin.execute(
            "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'remedied'"
        ).fetchone()
        admin.execute("DROP ROLE remedied")
    assert row == (2,)


def test_the_shells_signals_are_those_that_can_be_undone_or_caught() -> None:
    """SIGKILL is not among them."""
    from scaledoctor.demo.remedy import SIGNALS

    assert set(SIGNALS.values()) == {signal.SIGSTOP, signal.SIGCONT, signal.SIGTERM}


def test_a_fix_that_names_a_number_of_workers_starts_those_that_lack() -> None:
    """As a reader would who runs one already; without workers of ours it is for people."""
    started: list[int] = []
    fix = Fix("Run 9 workers for stream mail/crew instead of 2", ("start one",), language="shell")
    assert apply(fix, Ours(more=started.append)) == (Applied(fix.title),)
    assert started == [7]
    assert apply(fix, Ours()) == (Applied("start one", NOT_OURS),)


def test_the_caches_memory_is_changed_and_nothing_else() -> None:
    """CONFIG SET of its size and policy; a refusal is told; any other setting is for people."""
    with needs_servers(), redis() as cache:
        room = "redis-cli CONFIG SET maxmemory 32mb"
        assert apply(shell(room, "# stays"), Ours(cache=cache)) == (Applied(room),)
        wrong = apply(shell("redis-cli CONFIG SET maxmemory-policy none"), Ours(cache=cache))
        assert wrong[0].problem
        other = apply(shell("redis-cli CONFIG SET maxclients 1"), Ours(cache=cache))
        assert other[0].problem == NOT_OURS
        with client.Redis(port=cache.port) as r:
            assert r.info("memory")["maxmemory"] == 32 << 20
    assert apply(shell(room), Ours())[0].problem == NOT_OURS
