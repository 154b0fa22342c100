"""Checks on MySQL at their thresholds, on plain facts: quiet first, then each edge."""

from dataclasses import replace
from typing import Any

import pytest

from scaledoctor.sdk import Confidence, Finding, Kind, Reach, Severity, State, Unavailable
from scaledoctor.sources.host import HostInfo
from scaledoctor_checks.mysql._index import index_for
from scaledoctor_checks.mysql.buffer_pool import buffer_pool
from scaledoctor_checks.mysql.connections import connections, connections_exhausted
from scaledoctor_checks.mysql.locks import lock_wait, mysql_locks
from scaledoctor_checks.mysql.running import running, threads_running
from scaledoctor_checks.mysql.statements import slow_statement
from tests.checks.mysql_facts import (
    SERVER,
    digest,
    digests,
    locks,
    runs,
    status,
    thread,
    threads,
    transaction,
)
from tests.checks.pg_facts import complete, only

OK = Reach(ok=True, seconds=0.01)
FULL = Reach(ok=False, seconds=0.01, category="slots", code="1040", message="Too many connections")
HOST = HostInfo(cores=2, memory=8 << 30, container=False)
NOBODY = locks()


def exhausted(used: int, *found: Any, refused: int = 0, **more: Any) -> list[Finding]:
    """The check with so many connections of a hundred."""
    counters = status(
        Threads_connected=used, Connection_errors_max_connections=(0, refused), **more
    )
    return list(connections_exhausted(OK, SERVER, counters, threads(*found), NOBODY))


@pytest.mark.parametrize(
    ("used", "severity", "kind"),
    [
        (84, None, None),
        (85, Severity.MEDIUM, Kind.RISK),
        (94, Severity.MEDIUM, Kind.RISK),
        (95, Severity.CRITICAL, Kind.LIVE),
    ],
)
def test_connections_by_their_share(
    used: int, severity: Severity | None, kind: Kind | None
) -> None:
    """A steady pool near its limit is a risk; at the last ones it is no more."""
    found = exhausted(used, *(thread(i) for i in range(used)))
    assert [f.severity for f in found] == ([severity] if severity else [])
    assert [f.kind for f in found] == ([kind] if kind else [])


def test_refused_in_the_window() -> None:
    """However many are taken at its end."""
    finding = only(exhausted(50, *(thread(i) for i in range(50)), refused=3))
    assert finding.severity is Severity.CRITICAL
    assert "3 were refused in the window" in finding.summary


@pytest.mark.parametrize(("held", "named"), [(44, False), (45, True)])
def test_whoever_has_half_is_named(held: int, named: bool) -> None:
    """Who sleeps with how many."""
    mine = [thread(i, user="jobs") for i in range(held)]
    others = [thread(100 + i, user=f"u{i}") for i in range(90 - held)]
    finding = only(exhausted(90, *mine, *others))
    assert (finding.subject == "jobs@10.0.0.7") is named
    assert (f"holds {held}, {held} of them asleep" in finding.summary) is named
    assert finding.confidence is (Confidence.HIGH if named else Confidence.MEDIUM)


def test_a_refused_login_is_the_finding() -> None:
    """Nothing else can be read then."""
    finding = only(list(connections_exhausted(FULL, None, None, None, None)))
    assert finding.severity is Severity.CRITICAL
    use = connections(FULL, None, None, None, None)
    assert use
    assert use.state is State.SATURATED
    wrong = replace(FULL, category="auth")
    assert not list(connections_exhausted(wrong, None, None, None, None))


def test_connections_that_wait_for_a_lock_say_so() -> None:
    """Most of them wait: the lock is the cause."""
    found = [runs(i) for i in range(90)]
    waits = locks(*((i, 89) for i in range(60)))
    counters = status(Threads_connected=90.0)
    (finding,) = connections_exhausted(OK, SERVER, counters, threads(*found), waits)
    assert finding.waits_for == {"mysql.locks": pytest.approx(60 / 90)}
    use = connections(OK, SERVER, counters, threads(*found), waits)
    assert use
    assert use.waits_for == finding.waits_for


@pytest.mark.parametrize(("waiters", "fires"), [(0, False), (1, True), (3, True)])
def test_lock_wait(waiters: int, fires: bool) -> None:
    """One that waits all the time is enough; three are critical."""
    found = threads(thread(9, user="report"), *(runs(i) for i in range(waiters)))
    waits = locks(*((i, 9) for i in range(waiters)), open_=(transaction(9),))
    findings = list(lock_wait(SERVER, found, waits))
    assert bool(findings) is fires
    if fires:
        finding = only(findings)
        assert finding.subject == "report@10.0.0.7"
        assert finding.severity is (Severity.CRITICAL if waiters == 3 else Severity.HIGH)
        assert finding.fixes[0].commands == ("KILL CONNECTION 9;",)
        assert finding.explains == {"mysql.locks": 1.0}
    use = mysql_locks(SERVER, found, waits)
    assert (use.used, use.state is State.SATURATED) == (waiters, fires)


def test_a_queue_is_followed_to_its_root() -> None:
    """The second waits for the first, the first for whoever works: that one is cancelled."""
    found = threads(runs(9, "UPDATE stock SET n = ?", user="batch"), runs(1), runs(2))
    waits = locks((2, 1), (2, 9), (1, 9), open_=(transaction(9, changed=5000),))
    finding = only(list(lock_wait(SERVER, found, waits)))
    assert finding.subject == "batch@10.0.0.7"
    assert finding.fixes[0].commands == ("KILL QUERY 9;",)
    assert "5,000 changed rows" in finding.fixes[0].risk


def test_metadata_is_awaited() -> None:
    """Nothing tells who holds it: the oldest open transaction, with less confidence."""
    state = "Waiting for table metadata lock"
    found = threads(thread(9, user="report"), *(runs(i, state=state) for i in (1, 2)))
    waits = locks(open_=(transaction(9, 80.0), transaction(7, 5.0)))
    finding = only(list(lock_wait(SERVER, found, waits)))
    assert (finding.subject, finding.confidence) == ("report@10.0.0.7", Confidence.MEDIUM)
    nobody = locks()
    assert not list(lock_wait(SERVER, found, nobody))


def test_a_short_wait_is_quiet() -> None:
    """In one sample of four."""
    found = threads(runs(9), runs(1))
    waits = locks((1, 9), samples=1)
    spread = replace(waits, samples=waits.samples + locks(samples=3).samples)
    assert not list(lock_wait(SERVER, found, spread))


def test_what_others_do_must_be_seen() -> None:
    """Without PROCESS nobody is judged."""
    blind = replace(SERVER, sees_all=False)
    with pytest.raises(Unavailable) as no:
        list(lock_wait(blind, threads(), NOBODY))
    assert no.value.enable == "GRANT PROCESS ON *.* TO 'watcher'@'%';"


CHEAP = digest(10_000, 2.0, key="shop/2", text="SELECT ?")


@pytest.mark.parametrize(
    ("one", "severity"),
    [
        (digest(100, 4.9, examined=60_000, sent=1), None),  # less than half a thread
        (digest(100, 5.1, examined=999, sent=1), Severity.INFO),
        (digest(100, 5.1, examined=1000, sent=1), Severity.CRITICAL),
        (digest(100, 5.1, examined=1000, sent=11), Severity.INFO),
        (digest(100, 5.1, examined=1000, sent=10), Severity.CRITICAL),
        (digest(100, 5.1, examined=1000, sent=900, unindexed=1), Severity.CRITICAL),
        (digest(5, 5.1, examined=1, sent=1), Severity.CRITICAL),
        (digest(100, 5.1, examined=60_000, sent=1, locked=4.0), Severity.INFO),
    ],
)
def test_slow_statement(one: Any, severity: Severity | None) -> None:
    """Half a thread's time, rows in vain; waiting for locks is no fault of its own."""
    found = list(slow_statement(SERVER, digests(one, CHEAP), None))
    assert [f.severity for f in found] == ([severity] if severity is not None else [])


def test_slow_statement_needs_its_share() -> None:
    """A fifth of all statements' time."""
    one = digest(100, 6.0, examined=60_000, sent=1)
    rest = [replace(CHEAP, key=f"shop/{i}", seconds=3.0) for i in range(9)]
    assert not list(slow_statement(SERVER, digests(one, *rest), None))
    assert list(slow_statement(SERVER, digests(one, *rest[:7]), None))


def test_slow_statement_tells_rows_and_plan() -> None:
    """Its text has no literal; EXPLAIN is to be pasted."""
    one = digest(100, 9.0, examined=60_000, sent=1, unindexed=100)
    finding = only(list(slow_statement(SERVER, digests(one, CHEAP), None)))
    assert "looks at 60,000 rows for 1 that come out" in finding.summary
    assert finding.explains["mysql.running"] == pytest.approx(9 / 11)
    assert finding.fixes[0].commands[0] == "USE `shop`;"
    index = "CREATE INDEX `orders_customer` ON `shop`.`orders` (`customer`);"
    assert finding.fixes[0].commands[2].startswith(index)


@pytest.mark.parametrize(
    ("digest", "index"),
    [
        ("SELECT * FROM `a` . `t` WHERE `x` = ? AND `y` > ?", "`t_x` ON `a`.`t` (`x`)"),
        ("SELECT * FROM `t` WHERE `x` IN (...) LIMIT ?, ...", "`t_x` ON `shop`.`t` (`x`)"),
        ("UPDATE `t` SET `x` = ? WHERE `y` = ? AND `z` = ?", "`t_y_z` ON `shop`.`t` (`y`, `z`)"),
        ("SELECT COUNT ( * ) FROM `t`", ""),
        ("SELECT * FROM `t` JOIN `u` ON `t` . `a` = `u` . `a` WHERE `x` = ?", ""),
        ("CALL `p` (?)", ""),
    ],
)
def test_the_index_that_a_statement_asks_for(digest: str, index: str) -> None:
    """By the columns that it compares with values, where they are of one table."""
    found = index_for(digest, "shop")
    assert (found[0] if found else "") == (f"CREATE INDEX {index};" if index else "")


@pytest.mark.parametrize(
    ("count", "severity"),
    [(3, None), (4, Severity.HIGH), (15, Severity.HIGH), (16, Severity.CRITICAL)],
)
def test_threads_running(count: int, severity: Severity | None) -> None:
    """On two cores, four take turns."""
    found = threads(*(runs(i) for i in range(count)), thread(99))
    got = list(threads_running(SERVER, found, NOBODY, HOST))
    assert [f.severity for f in got] == ([severity] if severity else [])
    for finding in got:
        complete(finding)
    use = running(SERVER, found, NOBODY, HOST)
    assert use
    assert (use.state is State.SATURATED) is bool(severity)


def test_threads_that_wait_for_locks_do_not_run() -> None:
    """They take no core."""
    found = threads(*(runs(i) for i in range(9)))
    waits = locks(*((i, 8) for i in range(6)))
    assert not list(threads_running(SERVER, found, waits, HOST))


def test_cores_of_another_machine_are_not_known() -> None:
    """Skipped, with what would tell."""
    far = replace(SERVER, local=False)
    with pytest.raises(Unavailable):
        list(threads_running(far, threads(), NOBODY, HOST))
    assert running(far, threads(), NOBODY, HOST) is None


def pool(reads: int, every: int, free: int = 40, waits: int = 0) -> list[Finding]:
    """The check after ten seconds with a pool of a thousand pages."""
    counters = status(
        Innodb_buffer_pool_reads=(0, reads), Innodb_buffer_pool_read_requests=(0, every),
        Innodb_buffer_pool_pages_total=1000, Innodb_buffer_pool_pages_free=free,
        Innodb_buffer_pool_wait_free=(0, waits),
    )  # fmt: skip
    return list(buffer_pool(SERVER, counters))


@pytest.mark.parametrize(
    ("found", "severity"),
    [
        (pool(999, 9_990), None),
        (pool(1000, 100_001), None),
        (pool(1000, 100_000), Severity.MEDIUM),
        (pool(1000, 100_000, free=50), None),
        (pool(10, 100_000, waits=1), Severity.HIGH),
        (pool(0, 0), None),
    ],
)
def test_buffer_pool(found: list[Finding], severity: Severity | None) -> None:
    """A hundred reads a second, one in a hundred, and no room."""
    assert [f.severity for f in found] == ([severity] if severity else [])
    for finding in found:
        complete(finding)
        assert finding.kind is Kind.RISK
