"""Every way in which a Redis does not let us in: one category, one line, in time."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis as client
from redis.exceptions import NoPermissionError

from scaledoctor.demo.servers import RedisServer, find_redis, redis
from scaledoctor.demo.servers.child import accepts, free_port
from scaledoctor.sdk import Reach
from tests.queues.work import look, queue, readings, record, report, until
from tests.servers import needs_servers
from tests.sources.pg import listener

pytestmark = pytest.mark.live

SECRET = "hunter2"  # noqa: S105  of a server that lives as long as the test

LEAST = (
    "ACL SETUSER scaledoctor on >{secret} resetchannels &* ~* -@all +@read -keys +ping +info "
    "+select +client|list +client|setname +psubscribe +cluster|slots "
    "+config|get +slowlog|get +latency|latest"
)


def refused(url: str, window: float = 0.0) -> Reach:
    """How a scan was refused: one clear line, no crash, within generous ten seconds."""
    snapshot = look(url, window)
    (found,) = snapshot.records
    assert found.failures == ()
    assert not found.reach.ok
    assert found.reach.message
    assert "\n" not in found.reach.message + found.reach.enable
    assert SECRET not in repr(snapshot)
    assert snapshot.seconds < 10
    return found.reach


@pytest.fixture(scope="module")
def guarded() -> Iterator[RedisServer]:
    """A server with a password, an ACL user of the least rights, and one of hardly any."""
    with needs_servers(), redis(("--requirepass", SECRET, "--maxclients", "30")) as server:
        with client.Redis(port=server.port, password=SECRET) as r:
            r.execute_command(*LEAST.format(secret=SECRET).split())
            r.execute_command("ACL", "SETUSER", "blind", "on", f">{SECRET}", "+info", "+ping")
            r.sadd("rq:queues", "rq:queue:mail")
            r.rpush("rq:queue:mail", "job")
            r.sadd("_kombu.binding.celery", "celery\x06\x16\x06\x16celery")
            r.rpush("celery", "task")
        yield server


def test_no_password(guarded: RedisServer) -> None:
    """NOAUTH comes with the first command."""
    reach = refused(guarded.url())
    assert (reach.category, reach.message) == ("auth", "it wants a password")
    assert "REDIS_URL" in reach.enable


@pytest.mark.parametrize("user", ["", "default", "scaledoctor", "nobody"])
def test_a_wrong_password(guarded: RedisServer, user: str) -> None:
    """WRONGPASS, the same for a user that does not exist."""
    reach = refused(guarded.url(user=user, password="wrong"))  # noqa: S106
    assert (reach.category, reach.message) == ("auth", "wrong user or password")


def test_a_password_that_nobody_wants() -> None:
    """The URL has one, the server has none."""
    with needs_servers(), redis() as server:
        reach = refused(server.url(password=SECRET))
    assert reach.category == "auth"
    assert "take it out" in reach.enable


def test_the_least_rights_are_enough(guarded: RedisServer) -> None:
    """Every queue is seen, its workers too; nothing is skipped."""
    url = guarded.url(0, "scaledoctor", SECRET)
    found = record(url, 5.0)
    assert found.skips == ()
    queues = {q.label: q for q in readings(found)[-1].queues}
    assert (queues["rq mail"].ready, queues["rq mail"].consumers) == (1, 0)
    assert (queues["celery celery"].ready, queues["celery celery"].consumers) == (1, 0)
    assert SECRET not in repr(found)


def test_the_least_rights_write_nothing(guarded: RedisServer) -> None:
    """What the line of the documentation allows."""
    with client.Redis(port=guarded.port, username="scaledoctor", password=SECRET) as r:
        for command in ("SET a 1", "DEL celery", "KEYS *", "CONFIG SET maxclients 1", "FLUSHALL",
                        "EVAL_RO 1 0", "CLIENT KILL TYPE normal", "RPUSH celery x"):  # fmt: skip
            with pytest.raises(NoPermissionError):
                r.execute_command(*command.split())


def test_a_user_of_hardly_any_rights(guarded: RedisServer) -> None:
    """Let in, but blind: it says what is missing and how to grant it, and is no health."""
    url = guarded.url(0, "blind", SECRET)
    found = report(url, 0.0)
    assert found.verdict.status.value == "unknown"
    assert [f.check for f in found.blind_spots] == ["redis.health-unseen"]
    skips = {(s.reason, s.enable) for s in found.skipped}
    assert any("TYPE" in reason and "ACL SETUSER blind" in enable for reason, enable in skips)


def test_without_clients_and_channels_workers_are_not_known(guarded: RedisServer) -> None:
    """The lengths are seen; who works is skipped with a reason, never "nobody"."""
    with client.Redis(port=guarded.port, password=SECRET) as r:
        rights = f"ACL SETUSER lengths on >{SECRET} ~* -@all +@read +info +select"
        r.execute_command(*rights.split())
    found = report(guarded.url(0, "lengths", SECRET), 5.0)
    assert not any(f.finding.subject == "celery celery" for f in found.diagnoses)
    celery = queue(guarded.url(0, "lengths", SECRET), "celery celery")
    assert (celery.ready, celery.consumers) == (1, None)


def test_all_slots_taken(guarded: RedisServer) -> None:
    """maxclients is reached: that is a finding of its own kind, here its category."""
    pool = [client.Redis(port=guarded.port, password=SECRET) for _ in range(40)]
    try:
        for one in pool:
            try:
                one.ping()
            except client.RedisError:
                break
        assert refused(guarded.url(password=SECRET)).category == "slots"
    finally:
        for one in pool:
            one.close()


def test_protected_mode() -> None:
    """Reached by another address than loopback, without a password."""
    here = next(iter(socket.gethostbyname_ex(socket.gethostname())[2]), "127.0.0.1")
    address = here if not here.startswith("127.") else _outer()
    if not address:
        pytest.skip("this machine has only a loopback address")
    with needs_servers(), redis(("--bind", "0.0.0.0")) as server:  # noqa: S104
        reach = refused(f"redis://{address}:{server.port}")
    assert reach.category == "protected"


def _outer() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return ""
        return str(probe.getsockname()[0])


ANSWERS = {
    "a web server": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "a page": b"<html><body>hello</body></html>",
    "nonsense": b"\x15\x03\x01\x00\x02\x02\x16",
    "a mail server": b"220 mail.example ESMTP\r\n",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_something_else_answers(answer: bytes) -> None:
    """It is told from a Redis that is ill, with a password in the URL or without."""
    with listener(answer) as port:
        assert refused(f"redis://127.0.0.1:{port}").category in ("protocol", "closed")
        assert refused(f"redis://:{SECRET}@127.0.0.1:{port}").category in ("protocol", "closed")


def test_it_hangs_up() -> None:
    """A TLS port is the likely reason, and said to be."""
    with listener(b"") as port:
        reach = refused(f"redis://127.0.0.1:{port}")
    assert reach.category == "closed"
    assert "rediss://" in reach.enable


def test_a_script_that_does_not_end() -> None:
    """BUSY, to every command of everybody."""
    with needs_servers(), redis(("--lua-time-limit", "5")) as server:
        r = client.Redis(port=server.port, socket_timeout=60)
        thread = threading.Thread(target=_endless, args=(r,))
        thread.start()
        try:
            until(lambda: look(server.url()).records[0].reach.category == "busy")
        finally:
            client.Redis(port=server.port).script_kill()
            thread.join(10)


def _endless(r: client.Redis) -> None:
    with suppress(client.RedisError):
        r.eval("while true do end", 0)


def test_a_replica_without_its_master() -> None:
    """It lets us in and refuses to read: that is the finding, and no empty database."""
    alone = ("--replicaof", "127.0.0.1 1", "--replica-serve-stale-data", "no")
    with needs_servers(), redis(alone) as server:
        found = report(server.url(), 0.0)
    assert [d.finding.check for d in found.diagnoses] == ["redis.replication"]
    assert any("lost its master" in s.reason for s in found.skipped)


def test_it_loads_its_data(tmp_path: Path) -> None:
    """A real one, which takes its time to load what was saved."""
    with needs_servers(), redis() as server:
        with client.Redis(port=server.port) as r:
            for n in range(20):
                r.mset({f"{n}:{i}": "x" * 100 for i in range(1000)})
            r.save()
        saved = server.folder / "dump.rdb"
        shutil.copy(saved, tmp_path / "dump.rdb")
    with _loading(tmp_path / "dump.rdb") as port:
        reach = refused(f"redis://127.0.0.1:{port}")
    assert reach.category == "loading"


@contextmanager
def _loading(dump: Path) -> Iterator[int]:
    """A server that needs a minute to load what was saved; its port."""
    port = free_port()
    slow = ("--key-load-delay", "3000", "--loading-process-events-interval-bytes", "1024")
    words = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(dump.parent), *slow)
    with subprocess.Popen([str(find_redis()[0]), *words], stdout=subprocess.DEVNULL) as process:
        try:
            until(lambda: accepts(port))
            yield port
        finally:
            process.send_signal(signal.SIGKILL)


def test_it_accepts_and_never_answers() -> None:
    """A port that listens, and a server that was stopped in the middle of a scan."""
    with listener(None) as port:
        assert refused(f"redis://127.0.0.1:{port}").category == "timeout"
    with needs_servers(), redis() as server:
        os.kill(server.pid, signal.SIGSTOP)
        try:
            assert refused(server.url()).category == "timeout"
        finally:
            os.kill(server.pid, signal.SIGCONT)


def test_it_falls_silent_during_the_scan(tmp_path: Path) -> None:
    """What was read stays; the rest is skipped with a reason."""
    with needs_servers(), redis() as server:
        with client.Redis(port=server.port) as r:
            r.sadd("rq:queues", "rq:queue:mail")
        timer = threading.Timer(1.5, os.kill, (server.pid, signal.SIGSTOP))
        timer.start()
        try:
            began = time.monotonic()
            (found,) = look(server.url(), 4.0).records
        finally:
            timer.join()
            os.kill(server.pid, signal.SIGCONT)
    assert found.reach.ok
    assert found.failures == ()
    assert len(found.samples["Queues"]) >= 2
    assert any("within 3 s" in s.reason for s in found.skips)
    assert time.monotonic() - began < 20


PLACES = {
    "nothing listens": ("redis://127.0.0.1:1", "refused"),
    "no such host": ("redis://no-such-host.invalid", "dns"),
    "no such socket": ("unix:/nowhere/redis.sock", "refused"),
    "a socket that is a file": ("unix:/etc/hostname", "refused"),
}


@pytest.mark.parametrize(("url", "category"), PLACES.values(), ids=PLACES)
def test_nothing_is_there(url: str, category: str) -> None:
    """Refused, unknown, missing."""
    assert refused(url).category == category


def test_no_such_database(guarded: RedisServer) -> None:
    """A number beyond the server's databases."""
    assert refused(guarded.url(99, password=SECRET)).category == "database"
