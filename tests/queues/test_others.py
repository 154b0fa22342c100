"""Huey by its real workers; streams and plain lists; Sidekiq and arq by what they leave."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as client

from scaledoctor.sources.queues import ALL
from tests.queues.apps import huey
from tests.queues.work import first, program, queue, readings, record, report

pytestmark = [pytest.mark.live, pytest.mark.slow]  # real workers need real seconds

HUEY = """
from tests.queues.apps import huey
huey.create_consumer(workers=2, check_worker_health=False).run()
"""


@pytest.fixture
def shop(r: Any, url: str) -> Iterator[None]:
    """Let this process put tasks into the tests' server."""
    storage: Any = huey.storage
    before, storage.conn = storage.conn, r
    yield
    storage.conn = before


@pytest.mark.usefixtures("shop")
def test_the_depth_is_that_of_huey(r: Any, url: str) -> None:
    """Waiting and scheduled; it keeps no times and its workers leave no trace."""
    from tests.queues.apps import huey_nap

    for _ in range(5):
        huey_nap(0)
    huey_nap.schedule((0,), delay=500)
    with program(HUEY, url=url, folder=Path("/tmp"), ready=lambda: True):  # noqa: S108
        pass
    found = queue(url, "huey shop")
    assert found.ready + (found.scheduled or 0) == huey.pending_count() + huey.scheduled_count()


STREAM = "orders"


def test_a_stream_is_a_queue_for_each_group(r: Any, url: str) -> None:
    """What a group has not read, since when, what it holds, who holds nothing."""
    r.xgroup_create(STREAM, "mail", id="0", mkstream=True)
    r.xgroup_create(STREAM, "bills", id="0")
    for n in range(10):
        r.xadd(STREAM, {"n": n}, id=f"{int((time.time() - 100) * 1000) + n}-0")
    r.xreadgroup("mail", "one", {STREAM: ">"}, count=4)
    r.xreadgroup("bills", "two", {STREAM: ">"}, count=10)
    r.xgroup_createconsumer(STREAM, "bills", "three")
    mail, bills = queue(url, "stream orders/mail"), queue(url, "stream orders/bills")
    assert (mail.ready, mail.in_flight, mail.consumers, mail.reserved) == (6, 4, 1, 3)
    assert mail.oldest == pytest.approx(100, abs=3)
    assert (mail.arrived, mail.done) == (10, 0)
    assert (bills.ready, bills.oldest, bills.in_flight) == (0, None, 10)
    assert (bills.consumers, bills.idle, bills.reserved) == (2, 1, 9)
    assert (mail.stuck, bills.stuck) == (0, 0)


def test_a_stream_without_lag_is_counted(r: Any, url: str) -> None:
    """The server tells none after a deletion: unread entries are counted, up to a thousand."""
    r.xgroup_create(STREAM, "mail", id="0", mkstream=True)
    ids = [r.xadd(STREAM, {"n": n}) for n in range(10)]
    r.xreadgroup("mail", "one", {STREAM: ">"}, count=4)
    r.xdel(STREAM, ids[7])
    assert r.xinfo_groups(STREAM)[0]["lag"] is None
    assert queue(url, "stream orders/mail").ready == 5


def test_a_stream_group_that_nobody_reads(r: Any, url: str) -> None:
    """The first finding names stream and group."""
    r.xgroup_create(STREAM, "mail", id="0", mkstream=True)
    r.xadd(STREAM, {"n": 1}, id=f"{int((time.time() - 100) * 1000)}-0")
    finding = first(url, 1.0)
    assert (finding.check, finding.subject) == ("queue.no-workers", "stream orders/mail")


def test_one_consumer_of_a_stream_hoards(r: Any, url: str) -> None:
    """It took all ten at once; the other one has nothing to do."""
    r.xgroup_create(STREAM, "mail", id="0", mkstream=True)
    for n in range(10):
        r.xadd(STREAM, {"n": n})
    r.xreadgroup("mail", "one", {STREAM: ">"}, count=10)
    r.xgroup_createconsumer(STREAM, "mail", "two")
    finding = first(url, 1.0)
    assert (finding.check, finding.subject) == ("queue.prefetch-hoard", "stream orders/mail")


def test_lists_that_the_user_names(r: Any, url: str) -> None:
    """Lists and sets by name; one that is missing is empty; others are nobody's business."""
    r.rpush("to do", *range(7))
    r.rpush("not asked for", *range(7))
    r.zadd("later", {"a": 1, "b": 2})
    names = ["to do", "later", "missing"]
    found = readings(record(url, queues=names))[-1].queues
    assert {q.label: q.ready for q in found} == {
        "list to do": 7,
        "zset later": 2,
        "list missing": 0,
    }


def test_a_name_that_is_no_queue_is_told(r: Any, url: str) -> None:
    """Of the wrong type, or not there; a stream is read without being named."""
    r.rpush("to do", 1)
    r.set("counter", 1)
    r.hset("profile", "a", 1)
    r.xadd("events", {"a": 1})
    names = ["to do", "counter", "profile", "events", "mistyped"]
    told = {one.name: one for one in readings(record(url, queues=names))[-1].misnamed}
    assert sorted(told) == ["counter", "mistyped", "profile"]
    assert told["counter"].reason == "it is a string, no list, set, sorted set or stream"
    assert told["profile"].reason.startswith("it is a hash")
    assert told["mistyped"].reason.startswith("there is no such key now")
    assert told["mistyped"].enable == "redis-cli -n 0 TYPE mistyped"


def test_a_queue_in_another_database_says_so(r: Any, redis_server: object) -> None:
    """Without a number in the URL all databases with keys are looked at."""
    port = r.connection_pool.connection_kwargs["port"]
    with client.Redis(port=port, db=3) as other:
        other.sadd("rq:queues", "rq:queue:mail")
        other.rpush("rq:queue:mail", "x")
    r.sadd("rq:queues", "rq:queue:mail")
    found = readings(record(f"redis://127.0.0.1:{port}"))[-1].queues
    assert {q.label: q.ready for q in found} == {"rq mail": 0, "rq mail@3": 1}
    alone = readings(record(f"redis://127.0.0.1:{port}/3"))[-1].queues
    assert {q.label: q.ready for q in alone} == {"rq mail": 1}


def sidekiq(r: Any, version: int, queues: dict[str, float]) -> None:
    """Queues with their oldest job's age, and a process of two threads that serves "default".

    As Sidekiq's client and launcher write them (api.rb, launcher.rb, client.rb).
    """
    now = time.time()
    for name, oldest in queues.items():
        r.sadd("queues", name)
        for n in range(3):
            at = now - oldest + n / 100
            stamp = int(at * 1000) if version >= 8 else at
            job = {"class": "Mail", "args": [n], "jid": f"{n}", "created_at": stamp,
                   "enqueued_at": stamp}  # fmt: skip
            r.lpush(f"queue:{name}", json.dumps(job))
    me = "host:1:abc"
    info = {"hostname": "host", "pid": 1, "concurrency": 2, "queues": ["default"], "identity": me}
    r.sadd("processes", me, "gone:2:def")
    r.hset(me, mapping={"info": json.dumps(info), "busy": 1, "beat": now, "quiet": "false"})
    r.set("stat:processed", 1234)
    for key, count in (("schedule", 1), ("retry", 25), ("dead", 3)):
        r.zadd(key, {f"{key}{n}": now + n for n in range(count)})


@pytest.mark.parametrize("version", [7, 8])
def test_sidekiq_by_its_layout(r: Any, url: str, version: int) -> None:
    """Seconds up to 7, milliseconds from 8 on; what is shared stands under its own name."""
    sidekiq(r, version, {"default": 10.0, "low": 100.0})
    r.sadd("paused", "low")
    default, low = queue(url, "sidekiq default"), queue(url, "sidekiq low")
    assert (default.ready, default.in_flight, default.slots, default.consumers) == (3, 1, 2, 1)
    assert default.oldest == pytest.approx(10, abs=2)
    assert low.oldest == pytest.approx(100, abs=2)
    assert (low.ready, low.consumers, low.paused) == (3, 0, True)
    shared = queue(url, f"sidekiq {ALL}")
    assert (shared.scheduled, shared.retrying, shared.dead) == (1, 25, 3)
    assert shared.done == 1234


def test_a_sidekiq_queue_that_nobody_listens_to(r: Any, url: str) -> None:
    """There is a process, but not for this queue; the retries are the second thing."""
    sidekiq(r, 8, {"default": 1.0, "low": 100.0})
    found = report(url, 1.0)
    checks = [(d.finding.check, d.finding.subject) for d in found.diagnoses]
    assert checks[0] == ("queue.no-workers", "sidekiq low")
    assert ("queue.retry-storm", f"sidekiq {ALL}") in checks


def test_a_set_called_queues_is_not_sidekiq(r: Any, url: str) -> None:
    """Somebody else's."""
    r.sadd("queues", "a")
    assert readings(record(url))[-1].queues == ()


def test_arq_by_its_layout(r: Any, url: str) -> None:
    """A sorted set by due time in which running jobs stay, and a health check (arq 0.28)."""
    now = time.time() * 1000
    r.zadd("arq:queue", {f"job{n}": now - 50_000 + n for n in range(5)})
    r.zadd("arq:queue", {"later": now + 500_000})
    for n in range(2):
        r.psetex(f"arq:in-progress:job{n}", 310_000, b"1")
    health = "Nov-25 10:00:00 j_complete=7 j_failed=1 j_retried=0 j_ongoing=2 queued=6"
    r.psetex("arq:queue:health-check", 3_601_000, health)
    found = queue(url, "arq arq:queue")
    assert (found.ready, found.in_flight, found.scheduled) == (3, 2, 1)
    assert found.oldest == pytest.approx(50, abs=2)
    assert found.consumers is None
    r.delete("arq:queue:health-check")
    finding = first(url, 1.0)
    assert (finding.check, finding.subject) == ("queue.no-workers", "arq arq:queue")
