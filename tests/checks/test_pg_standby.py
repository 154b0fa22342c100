"""A standby's replay that readers wait behind, on plain facts."""

from dataclasses import replace

import pytest

from scaledoctor.sdk import Kind, Severity, Window
from scaledoctor.sources.postgres import Activity, LockTable, Replay, Session
from scaledoctor_checks.postgres._blocking import blocking
from scaledoctor_checks.postgres.blocking_transaction import blocking_transaction
from scaledoctor_checks.postgres.ddl_queue import ddl_queue
from scaledoctor_checks.postgres.idle_in_transaction import idle_in_transaction
from scaledoctor_checks.postgres.standby_replay import standby_replay_blocked
from tests.checks.pg_facts import (
    SERVER,
    active,
    activity,
    lock,
    lock_window,
    only,
    open_idle,
    settings,
    waiting,
)

STANDBY = replace(SERVER, in_recovery=True)
REPLAY = replace(
    waiting(9, event="relation"), application="startup", state="", query="", user="",
    transaction_age=None, query_age=None, state_age=None,
)  # fmt: skip
LOCKS = (
    lock(9, "AccessExclusiveLock", granted=False),
    lock(1, "AccessShareLock", granted=True),
    *(lock(i, "AccessShareLock", granted=False) for i in (2, 3)),
)


def replayed(*sessions: Session, replay: Session = REPLAY, samples: int = 4) -> Window[Activity]:
    return Window.of(*[replace(activity(*sessions), workers=(replay,))] * samples)


def readers(*pids: int) -> tuple[Session, ...]:
    return tuple(waiting(i, 9, event="relation", query="SELECT * FROM stock") for i in pids)


def test_the_query_that_the_replay_waits_for_is_the_root() -> None:
    """Nobody else names it, and there is no ring."""
    window = replayed(active(1, "report", "SELECT sum(n) FROM stock"), *readers(2, 3))
    locks = lock_window(*LOCKS)
    found = only(list(standby_replay_blocked(STANDBY, window, locks, settings())))
    assert (found.subject, found.severity) == ("report", Severity.CRITICAL)
    assert found.explains == {"postgres.locks": 1.0}
    assert found.fixes[0].commands == ("SELECT pg_cancel_backend(1);",)
    assert not list(blocking_transaction(STANDBY, window, locks, None))
    assert not list(ddl_queue(STANDBY, window, locks))
    assert set(blocking(window, locks).roots) == {1}


def test_a_transaction_left_open_on_the_standby_is_ended_not_cancelled() -> None:
    """It runs nothing that could be cancelled."""
    window = replayed(open_idle(1, "report"), *readers(2, 3))
    locks = lock_window(*LOCKS)
    found = only(list(standby_replay_blocked(STANDBY, window, locks, settings())))
    assert found.fixes[0].commands == ("SELECT pg_terminate_backend(1);",)
    assert [f.kind.value for f in idle_in_transaction(STANDBY, window, locks)] == []


def test_a_replayed_lock_is_ended_on_the_primary() -> None:
    """The replay waits for nothing: the transaction there is still open."""
    replay = replace(REPLAY, wait_type="IPC", wait_event="RecoveryWalStream")
    window = replayed(*readers(2, 3), replay=replay)
    found = only(list(standby_replay_blocked(STANDBY, window, lock_window(), settings())))
    assert found.subject == "open transaction on the primary"
    assert "On the primary" in found.fixes[0].title


@pytest.mark.parametrize(("milliseconds", "asked"), [("30000", 2), ("30001", 3), ("-1", 3)])
def test_a_shorter_delay_is_advised_above_its_default(milliseconds: str, asked: int) -> None:
    """Half a minute is what PostgreSQL comes with; -1 waits for ever."""
    window = replayed(active(1, "report"), *readers(2))
    given = settings(max_standby_streaming_delay=milliseconds)
    found = only(list(standby_replay_blocked(STANDBY, window, lock_window(*LOCKS), given)))
    assert len(found.fixes) == asked


@pytest.mark.parametrize(("with_reader", "fires"), [(2, True), (1, False)])
def test_half_a_reader_on_average_is_needed(with_reader: int, fires: bool) -> None:
    """A replay that waits and stops nobody is no finding of this check."""
    root = active(1, "report")
    samples = [
        replace(activity(root, *(readers(2) if i < with_reader else ())), workers=(REPLAY,))
        for i in range(4)
    ]
    locks = Window(tuple((i / 2 + 0.01, LockTable(LOCKS)) for i in range(4)))
    window = Window(tuple((i / 2, sample) for i, sample in enumerate(samples)))
    assert bool(list(standby_replay_blocked(STANDBY, window, locks, settings()))) is fires


def test_a_client_called_startup_is_no_replay() -> None:
    """Only the server's own process is."""
    client = waiting(9, 1, event="relation", application="startup")
    window = Window.of(*[activity(active(1), client, *readers(2))] * 4)
    assert not list(standby_replay_blocked(STANDBY, window, lock_window(*LOCKS), settings()))


@pytest.mark.parametrize(
    ("behind", "fires"),
    [
        (Replay(1, 30.0), True),
        (Replay(1, 29.9), False),
        (Replay(0, 900.0), False),
        (Replay(None, None), False),
        (None, False),
    ],
    ids=["old", "young", "all is replayed", "from an archive", "not seen"],
)
def test_data_that_grows_old_is_a_risk(behind: Replay | None, fires: bool) -> None:
    """Nobody waits, but the replay does; an idle primary makes no data old."""
    window = replayed(active(1, "report"))
    found = list(standby_replay_blocked(STANDBY, window, lock_window(*LOCKS), settings(), behind))
    assert [(f.kind, f.subject) for f in found] == ([(Kind.RISK, "report")] if fires else [])
    if fires:
        assert only(found).fixes[0].commands == ("SELECT pg_cancel_backend(1);",)


@pytest.mark.parametrize(("stuck", "fires"), [(2, True), (1, False)])
def test_the_replay_must_wait_most_of_the_time(stuck: int, fires: bool) -> None:
    """A snapshot conflict holds no lock: the oldest snapshot is in the way."""
    waits = replace(REPLAY, wait_type="IPC", wait_event="RecoveryConflictSnapshot")
    works = replace(REPLAY, wait_type="", wait_event="")
    old, young = active(1, "report", xid_age=900), active(2, "web", xid_age=3)
    window = Window.of(*(
        replace(activity(young, old), workers=(waits if i < stuck else works,)) for i in range(4)
    ))  # fmt: skip
    behind = Replay(10_000_000, 90.0)
    found = list(standby_replay_blocked(STANDBY, window, lock_window(), settings(), behind))
    assert [f.subject for f in found] == (["report"] if fires else [])
    if fires:
        assert "10.0 MB wait, the data here is 2 min old" in only(found).summary
        assert "hot_standby_feedback = on" in only(found).fixes[-1].commands[0]
