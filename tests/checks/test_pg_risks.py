"""Xmin holders and blind spots, on plain facts."""

from dataclasses import replace

import pytest

from scaledoctor.sdk import Finding, Kind, Severity
from scaledoctor.sources.postgres import Statements, XminHolder, XminHolders
from scaledoctor_checks.postgres.blind_spots import (
    io_untimed,
    log_silent,
    role_blind,
    statements_evicted,
    statements_unseen,
)
from scaledoctor_checks.postgres.xmin import xmin_held
from tests.checks.pg_facts import SERVER, active, complete, only, open_idle, settings, still


@pytest.mark.parametrize(
    ("xids", "seconds", "severity"),
    [
        (999_999, 3599.0, None),
        (1_000_000, 0.0, Severity.MEDIUM),
        (0, 3600.0, Severity.MEDIUM),
        (10_000_000, 0.0, Severity.HIGH),
        (0, 86_400.0, Severity.HIGH),
    ],
)
def test_an_old_transaction_is_a_risk_by_either_age(
    xids: int, seconds: float, severity: Severity | None
) -> None:
    """A million transactions or an hour; ten times the one, or a day, is high."""
    window = still(open_idle(1, xid_age=xids, transaction_age=seconds), samples=1)
    found = list(xmin_held(SERVER, window, None))
    assert [f.severity for f in found] == ([severity] if severity else [])
    assert all(f.kind is Kind.RISK for f in found)


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("prepared transaction", "ROLLBACK PREPARED 'a''b';"),
        ("replication slot", "SELECT pg_drop_replication_slot('a''b');"),
        ("standby", "-- on the standby: SET hot_standby_feedback = off"),
    ],
)
def test_each_kind_of_holder_has_its_own_way_out(kind: str, command: str) -> None:
    """Names are literals."""
    holders = XminHolders((XminHolder(kind, "a'b", "shop", 2_000_000, None),))
    found = only(list(xmin_held(SERVER, still(active(1)), holders)))
    assert found.fixes[0].commands == (command,)
    assert kind in found.subject


def test_only_the_three_oldest_holders_are_named() -> None:
    """Ending the oldest is what helps."""
    holders = XminHolders(tuple(
        XminHolder("replication slot", f"s{i}", "", i * 1_000_000, None) for i in range(1, 6)
    ))  # fmt: skip
    found = list(xmin_held(SERVER, still(active(1)), holders))
    assert [f.subject[-2:] for f in found] == ["s5", "s4", "s3"]


def blind(found: list[Finding]) -> list[str]:
    for finding in found:
        complete(finding)
        assert finding.kind is Kind.BLIND_SPOT
    return [f.subject for f in found]


def test_a_role_outside_pg_monitor_gets_the_grant() -> None:
    """And a way back."""
    found = list(role_blind(replace(SERVER, sees_all=False, role="user")))
    assert blind(found) == ["role user"]
    assert found[0].fixes[0].commands == ('GRANT pg_monitor TO "user";',)
    assert found[0].fixes[0].undo == 'REVOKE pg_monitor FROM "user";'
    assert not list(role_blind(SERVER))


def test_pg_stat_statements_missing_or_only_preloaded() -> None:
    """With the library loaded no restart is needed."""
    without = replace(SERVER, statements_version="")
    missing = list(statements_unseen(without, settings()))
    loaded = list(statements_unseen(
        without, settings(shared_preload_libraries="pg_stat_statements")
    ))  # fmt: skip
    assert blind(missing) == blind(loaded) == ["pg_stat_statements"]
    assert len(missing[0].fixes[0].commands) == 2
    assert loaded[0].fixes[0].commands == ("CREATE EXTENSION pg_stat_statements;",)
    assert not list(statements_unseen(SERVER, settings()))


@pytest.mark.parametrize(("evicted", "fires"), [(None, False), (999, False), (1000, True)])
def test_evictions_count_from_a_thousand(evicted: int | None, fires: bool) -> None:
    """Before 14 the number is not known."""
    found = list(statements_evicted(Statements((), evicted, None)))
    assert bool(blind(found)) is fires
    assert not list(statements_evicted(None))


def test_silent_settings_are_told_with_the_command() -> None:
    """Each with ALTER SYSTEM, a reload and the way back."""
    off = settings(log_temp_files="-1", log_min_duration_statement="-1")
    assert blind(list(log_silent(off))) == [
        "log_lock_waits", "log_temp_files", "log_min_duration_statement",
    ]  # fmt: skip
    assert blind(list(io_untimed(off))) == ["track_io_timing"]
    on = settings(log_lock_waits="on", log_temp_files="0", log_min_duration_statement="0",
                  track_io_timing="on")  # fmt: skip
    assert not [*log_silent(on), *io_untimed(on)]
