"""What a SQL log alone tells, on plain facts: each check at each of its edges."""

from dataclasses import replace
from typing import Any

import pytest

from scaledoctor.sdk import Finding, Kind, Severity, Window
from scaledoctor.sources.postgres import Statements
from scaledoctor.sources.postgres.own_log import OwnLog
from scaledoctor.sources.sql_log import Ran, SqlLog, Told
from scaledoctor_checks.app.sql_log_errors import (
    log_deadlocks,
    statement_timeouts,
    too_many_clients,
)
from scaledoctor_checks.app.sql_log_work import log_lock_waits, slow_statements, temporary_files
from scaledoctor_checks.postgres.log_unread import log_unread
from tests.checks.pg_facts import active, activity, counters, idle, only, settings, still, waiting

MB = 1 << 20

LOG = SqlLog(
    format="stderr", live=False, first=1000.0, seconds=600.0, lines=9000, unread=0, entries=9000,
    calls=8000, untimed=0, busy=100.0, statements=(), others=0, problems=(), step=60.0,
    stretches=(), connections=0, busiest=0.0, sessions=0, short=0, session_p50=0.0, owners={},
    lock_waits=0, lock_seconds=0.0, longest_lock=0.0, temp_files=0, temp_bytes=0, largest_temp=0,
    checkpoints={}, checkpoint_seconds=0.0, longest_sync=0.0, too_frequent=0, vacuumed=(),
)  # fmt: skip
"""Ten minutes, which end at 1600."""

RAN = Ran("UPDATE stock SET n = ? WHERE id = ?", 100, 10.0, 0.1, 0.1, 0.1, 0.2)
REFUSED = Told("FATAL", "53300", "sorry, too many clients already", 100, 1000.0, 1600.0)
ENDED = Told("ERROR", "57014", "canceling statement due to statement timeout", 20, 1000.0, 1600.0)
KILLED = Told("ERROR", "40P01", "deadlock detected", 10, 1000.0, 1600.0)


def told(one: Told, count: int, *more: Told, ran: Ran | None = None, **changes: Any) -> SqlLog:
    """A log in which an error stands so often."""
    ran_it = (ran,) if ran else ()
    return replace(LOG, problems=(replace(one, count=count), *more), statements=ran_it, **changes)


@pytest.mark.parametrize(
    ("count", "seconds", "fires"), [(4, 60.0, 0), (5, 300.0, 1), (5, 301.0, 0), (5, 10.0, 1)]
)
def test_refused_clients_by_count_and_rate(count: int, seconds: float, fires: int) -> None:
    assert len(list(too_many_clients(told(REFUSED, count, seconds=seconds)))) == fires


def test_a_warning_or_another_error_is_no_refusal() -> None:
    assert not list(too_many_clients(told(replace(REFUSED, severity="WARNING"), 100)))
    assert not list(too_many_clients(told(KILLED, 100)))


@pytest.mark.parametrize(("count", "severity"), [(599, Severity.HIGH), (600, Severity.CRITICAL)])
def test_refusals_are_critical_from_one_a_second(count: int, severity: Severity) -> None:
    one = only(list(too_many_clients(told(REFUSED, count))))
    assert (one.severity, one.kind, one.subject) == (severity, Kind.LIVE, "connection slots")


def test_the_limit_of_a_role_is_named() -> None:
    """As the server's words have it."""
    words = replace(REFUSED, message='too many connections for role "web"')
    one = only(list(too_many_clients(told(words, 50, owners={"web@shop": 9}))))
    assert one.subject == "role web"
    assert one.summary == "50 clients were refused in 10 min, at the limit of role web"
    assert "web@shop" in {e.value for e in one.evidence}


@pytest.mark.parametrize(("sessions", "kind"), [(73, Kind.RISK), (74, Kind.LIVE)])
def test_with_the_database_whoever_holds_the_slots_is_the_cause(sessions: int, kind: Kind) -> None:
    """From three quarters on, our own session included."""
    seen = still(*(idle(pid) for pid in range(sessions)))
    one = only(list(too_many_clients(told(REFUSED, 100), seen, settings(100))))
    assert one.kind is kind
    assert one.waits_for == ({"postgres.connections": 1.0} if kind is Kind.LIVE else {})


@pytest.mark.parametrize(("last", "kind"), [(1299.0, Kind.RISK), (1300.0, Kind.LIVE)])
def test_what_ended_minutes_ago_is_a_risk(last: float, kind: Kind) -> None:
    """It may come again."""
    for found in (
        too_many_clients(told(replace(REFUSED, last=last), 100)),
        statement_timeouts(told(replace(ENDED, last=last), 100)),
        log_deadlocks(told(replace(KILLED, last=last), 100)),
    ):
        assert only(list(found)).kind is kind


@pytest.mark.parametrize(
    ("count", "seconds", "calls", "fires"),
    [(4, 60.0, 0, 0), (5, 300.0, 8000, 1), (5, 301.0, 8000, 0), (5, 900.0, 495, 1),
     (5, 900.0, 496, 0)],
)  # fmt: skip
def test_timeouts_by_count_rate_and_share(
    count: int, seconds: float, calls: int, fires: int
) -> None:
    log = told(ENDED, count, seconds=seconds, calls=calls)
    assert len(list(statement_timeouts(log))) == fires


def test_a_user_that_gives_up_is_no_timeout() -> None:
    user = replace(ENDED, message="canceling statement due to user request")
    assert not list(statement_timeouts(told(user, 100)))


@pytest.mark.parametrize(("calls", "severity"), [(181, Severity.MEDIUM), (180, Severity.HIGH)])
def test_timeouts_are_high_from_a_tenth(calls: int, severity: Severity) -> None:
    assert only(list(statement_timeouts(told(ENDED, 20, calls=calls)))).severity is severity


@pytest.mark.parametrize(("errors", "named"), [(19, False), (20, True), (40, True)])
def test_the_statement_is_named_when_it_is_sure(errors: int, named: bool) -> None:
    """Of 30 errors 10 are of another kind: 20 of it are 10 time-outs at least, half of them."""
    other = replace(KILLED, count=10)
    log = told(ENDED, 20, other, ran=replace(RAN, errors=errors))
    one = only(list(statement_timeouts(log)))
    assert (one.subject == RAN.statement) == named
    assert ("at least" in one.summary) == named


def test_timeouts_behind_a_lock_wait_for_it() -> None:
    seen = still(active(1), waiting(2, 1), waiting(3, 1))
    (share,) = only(list(statement_timeouts(told(ENDED, 20), seen))).waits_for.values()
    assert share == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("count", "seconds", "fires"), [(2, 60.0, 0), (3, 900.0, 1), (3, 901.0, 0), (3, 60.0, 1)]
)
def test_deadlocks_by_count_and_rate(count: int, seconds: float, fires: int) -> None:
    assert len(list(log_deadlocks(told(KILLED, count, seconds=seconds)))) == fires


@pytest.mark.parametrize(("count", "severity"), [(49, Severity.MEDIUM), (50, Severity.HIGH)])
def test_a_storm_of_deadlocks(count: int, severity: Severity) -> None:
    one = only(list(log_deadlocks(told(KILLED, count, ran=replace(RAN, errors=count)))))
    assert (one.severity, one.subject) == (severity, RAN.statement)


@pytest.mark.parametrize(("grown", "fires"), [(0, 1), (1, 0)])
def test_a_deadlock_within_the_scan_is_told_by_its_own_check(grown: int, fires: int) -> None:
    found = list(log_deadlocks(told(KILLED, 10), counters(deadlocks=grown)))
    assert len(found) == fires


def waits(count: int = 20, seconds: float = 300.0, **changes: Any) -> SqlLog:
    ran = replace(RAN, lock_waits=count, lock_seconds=seconds)
    return replace(
        LOG, lock_waits=count, lock_seconds=seconds, statements=(ran,), longest_lock=9.0, **changes
    )


@pytest.mark.parametrize(
    ("count", "seconds", "severity"),
    [(4, 300.0, None), (5, 119.0, None), (5, 120.0, Severity.MEDIUM), (5, 1199.0, Severity.MEDIUM),
     (5, 1200.0, Severity.HIGH)],
)  # fmt: skip
def test_lock_waits_by_count_and_sessions(
    count: int, seconds: float, severity: Severity | None
) -> None:
    found = list(log_lock_waits(waits(count, seconds)))
    assert [one.severity for one in found] == ([severity] if severity else [])
    assert all(one.subject == RAN.statement for one in found)


def test_a_wait_that_is_seen_is_told_by_the_live_checks() -> None:
    assert not list(log_lock_waits(waits(), still(active(1), waiting(2, 1))))


@pytest.mark.parametrize(("live", "kind"), [(False, Kind.RISK), (True, Kind.LIVE)])
def test_a_wait_that_is_not_seen_is_a_risk_unless_the_log_goes_on(live: bool, kind: Kind) -> None:
    seen = Window.of(activity(active(1)))
    assert only(list(log_lock_waits(waits(live=live), seen))).kind is kind


def spilled(files: int = 10, megabytes: float = 600.0, **changes: Any) -> SqlLog:
    size = int(megabytes * MB)
    ran = replace(RAN, temp_files=files, temp_bytes=size // 2)
    return replace(LOG, temp_files=files, temp_bytes=size, statements=(ran,), **changes)


@pytest.mark.parametrize(
    ("files", "megabytes", "severity"),
    [(9, 600.0, None), (10, 599.0, None), (10, 600.0, Severity.MEDIUM),
     (10, 11999.0, Severity.MEDIUM), (10, 12000.0, Severity.HIGH)],
)  # fmt: skip
def test_temporary_files_by_count_and_rate(
    files: int, megabytes: float, severity: Severity | None
) -> None:
    found = list(temporary_files(spilled(files, megabytes)))
    assert [one.severity for one in found] == ([severity] if severity else [])
    assert all("50% by UPDATE stock" in one.summary for one in found)


def commands(one: Finding) -> str:
    return "\n".join(c for fix in one.fixes for c in fix.commands)


@pytest.mark.parametrize(("megabytes", "given"), [(600.0, True), (1706.0, True), (1720.0, False)])
def test_work_mem_is_sized_by_its_files_and_bounded(megabytes: float, given: bool) -> None:
    """Three times their mean, at most 256 MB."""
    text = commands(only(list(temporary_files(spilled(10, megabytes)))))
    assert ("work_mem" in text) == given
    if megabytes == 600.0:
        assert "SET LOCAL work_mem = '90MB'" in text


def slow(count: int = 60, seconds: float = 300.0, busy: float = 700.0) -> SqlLog:
    return replace(LOG, busy=busy, statements=(replace(RAN, count=count, seconds=seconds),))


@pytest.mark.parametrize(
    ("count", "seconds", "busy", "fires"),
    [(5, 300.0, 750.0, 1), (4, 300.0, 750.0, 0), (5, 300.0, 751.0, 0), (300, 300.0, 700.0, 1),
     (301, 300.0, 700.0, 0), (5, 299.0, 700.0, 0), (0, 0.0, 0.0, 0)],
)  # fmt: skip
def test_slow_statements_at_each_edge(count: int, seconds: float, busy: float, fires: int) -> None:
    assert len(list(slow_statements(slow(count, seconds, busy), []))) == fires


def test_the_live_check_tells_a_slow_statement_better() -> None:
    assert not list(slow_statements(slow(), [Statements((), None, None)]))


OWN = told(REFUSED, 100, own="log/a.log of yesterday")


@pytest.mark.parametrize(
    ("others", "fires"),
    [((), 1), ((LOG,), 0), ((replace(OWN, first=990.0),), 0), ((replace(OWN, own="b"),), 1)],
)
def test_a_servers_own_log_is_told_once(others: tuple[SqlLog, ...], fires: int) -> None:
    """Neither beside a log that was named nor again for the next database of its server."""
    assert len(list(too_many_clients(OWN, None, None, [*others, OWN]))) == fires
    assert len(list(too_many_clients(told(REFUSED, 100), None, None, [*others, OWN]))) == 1


def test_a_log_that_is_not_read_is_one_blind_spot() -> None:
    """Quiet while a log is in the scan, or when there is nothing to say."""
    blind = OwnLog("role web may not read it", ("GRANT EXECUTE ON FUNCTION f() TO web;",))
    one = only(list(log_unread(blind, [])))
    assert (one.kind, one.severity) == (Kind.BLIND_SPOT, Severity.INFO)
    assert one.fixes[1].undo == "REVOKE EXECUTE ON FUNCTION f() FROM web;"
    assert not list(log_unread(blind, [LOG]))
    assert not list(log_unread(OwnLog(), []))
    assert not list(log_unread(None, []))
    assert len(only(list(log_unread(OwnLog("it goes somewhere else"), []))).fixes) == 1
