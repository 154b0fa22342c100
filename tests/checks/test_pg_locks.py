"""Who is blamed for blocked time, on plain facts."""

from dataclasses import replace

import pytest

from scaledoctor.sdk import Confidence, Severity, State, Unavailable, Window
from scaledoctor.sources.postgres import LockTable, Session, XminHolder, XminHolders
from scaledoctor_checks.postgres._blocking import blocking
from scaledoctor_checks.postgres._causes import CYCLE, PREPARED
from scaledoctor_checks.postgres._conflicts import conflicts
from scaledoctor_checks.postgres.blocking_transaction import blocking_transaction
from scaledoctor_checks.postgres.ddl_queue import ddl_queue
from scaledoctor_checks.postgres.hot_row import hot_row
from scaledoctor_checks.postgres.idle_in_transaction import idle_in_transaction
from scaledoctor_checks.postgres.locks import locks
from scaledoctor_checks.postgres.sync_commit import sync_commit_stall
from tests.checks.pg_facts import (
    SERVER,
    active,
    activity,
    idle,
    lock,
    lock_window,
    only,
    open_idle,
    still,
    waiting,
)


def test_blocked_time_goes_to_the_end_of_the_chain() -> None:
    """1 holds, 2 waits for 1, 3 waits for 2: both count for 1, none for 2."""
    found = blocking(still(open_idle(1), waiting(2, 1), waiting(3, 2), active(4)), None)
    assert set(found.roots) == {1}
    assert found.mean(found.roots[1]) == 2.0
    assert found.share(found.roots[1]) == 1.0
    assert found.impact(found.roots[1]) == pytest.approx(2 / 3)


def test_a_waiter_with_two_roots_is_split_between_them() -> None:
    """Half each, and nobody is counted twice."""
    found = blocking(still(active(1), active(2), waiting(3, 1, 2)), None)
    assert {pid: found.mean(root) for pid, root in found.roots.items()} == {1: 0.5, 2: 0.5}


def test_a_diamond_is_no_ring() -> None:
    """4 waits for 2 and 3, which both wait for 1: one root, seen once."""
    found = blocking(still(active(1), waiting(2, 1), waiting(3, 1), waiting(4, 2, 3)), None)
    assert {pid: found.mean(root) for pid, root in found.roots.items()} == {1: 3.0}


def test_a_ring_and_those_behind_it_are_charged_to_the_ring() -> None:
    """1 and 2 wait for each other, 3 waits for 1: nobody can be ended but the ring."""
    found = blocking(still(waiting(1, 2), waiting(2, 1), waiting(3, 1)), None)
    assert set(found.roots) == {CYCLE}
    assert found.mean(found.roots[CYCLE]) == 3.0


def test_a_blocker_without_session_is_a_prepared_transaction() -> None:
    """pg_blocking_pids says 0."""
    found = blocking(still(waiting(2, 0), waiting(3, 0)), None)
    assert found.mean(found.roots[PREPARED]) == 2.0


def test_extend_and_wal_waits_are_not_locks_of_others() -> None:
    """Nobody can be ended to make them go away."""
    sessions = (waiting(1, event="extend"), active(2, wait_type="LWLock", wait_event="WALWrite"))
    assert blocking(still(*sessions), None).blocked == 0
    use = locks(SERVER, still(*sessions))
    assert (use.used, use.state) == (0.0, State.OK)


@pytest.mark.parametrize(
    ("waiters", "workers", "state"),
    [(0, 10, State.OK), (1, 20, State.OK), (1, 9, State.BUSY), (3, 7, State.SATURATED),
     (2, 8, State.BUSY)],
)  # fmt: skip
def test_the_lock_resource_is_the_waiting_share_of_busy_sessions(
    waiters: int, workers: int, state: State
) -> None:
    """Busy from a tenth, saturated from three tenths."""
    sessions = [waiting(100 + i, 1) for i in range(waiters)] + [active(i) for i in range(workers)]
    assert locks(SERVER, still(*sessions)).state is state


def test_less_than_one_waiter_saturates_nothing() -> None:
    """One waiter in half of the samples, and nobody else: the share is high, the trouble not."""
    window = Window.of(*(activity(waiting(2, 1)) if i % 2 else activity() for i in range(8)))
    use = locks(SERVER, window)
    assert use.utilization == 0.5
    assert use.state is State.BUSY


def test_lock_checks_do_not_guess_about_hidden_sessions() -> None:
    """Without pg_monitor they say so, with the GRANT."""
    window = Window.of(activity(idle(1), hidden=1))
    for call in (
        lambda: locks(SERVER, window),
        lambda: list(blocking_transaction(SERVER, window, None, None)),
        lambda: list(hot_row(SERVER, window, None)),
        lambda: list(idle_in_transaction(SERVER, window, None)),
        lambda: list(ddl_queue(SERVER, window, Window.of(LockTable(())))),
    ):
        with pytest.raises(Unavailable) as caught:
            call()
        assert "GRANT pg_monitor" in caught.value.enable


def test_an_active_root_is_named_with_its_statement() -> None:
    """One long transaction at work keeps three waiting."""
    root = active(1, "migration", "UPDATE orders SET x = $1", transaction_age=40.0, query_age=40.0)
    window = still(root, *(waiting(i, 1) for i in (2, 3, 4)))
    found = only(list(blocking_transaction(SERVER, window, None, None)))
    assert found.subject == "migration"
    assert "UPDATE orders" in found.summary
    assert "3.0 sessions" in found.summary
    assert found.fixes[0].commands == ("SELECT pg_cancel_backend(1);",)
    assert found.explains == {"postgres.locks": 1.0}
    assert found.severity is Severity.CRITICAL
    assert not list(idle_in_transaction(SERVER, window, None))


@pytest.mark.parametrize(("samples_with_waiter", "fires"), [(4, True), (3, False)])
def test_a_root_counts_from_half_a_waiter_on_average(samples_with_waiter: int, fires: bool) -> None:
    """4 of 8 samples with one waiter are at the threshold."""
    root = active(1, "batch", transaction_age=60.0)
    window = Window.of(
        *(activity(root, waiting(2, 1)) for _ in range(samples_with_waiter)),
        *(activity(root, idle(2)) for _ in range(8 - samples_with_waiter)),
    )
    assert bool(list(blocking_transaction(SERVER, window, None, None))) is fires


def test_one_of_three_equal_roots_is_not_the_one_to_blame() -> None:
    """Each has a third, below the share of 0.4; two have half each and are both named."""
    three = [s for i in (1, 2, 3) for s in (active(i), waiting(10 + i, i), waiting(20 + i, i))]
    assert not list(blocking_transaction(SERVER, still(*three), None, None))
    two = [s for i in (1, 2) for s in (active(i), waiting(10 + i, i), waiting(20 + i, i))]
    assert len(list(blocking_transaction(SERVER, still(*two), None, None))) == 2


def test_a_forgotten_transaction_is_named_by_what_it_blocks() -> None:
    """Idle for 30 s, two sessions wait: end it, then a time-out for its role."""
    window = still(open_idle(1, "worker", user="jobs"), waiting(2, 1), waiting(3, 2), active(4))
    found = only(list(idle_in_transaction(SERVER, window, None)))
    assert found.subject == "worker"
    assert "has left a transaction idle" in found.summary
    assert found.fixes[0].commands == ("SELECT pg_terminate_backend(1);",)
    assert "ALTER ROLE jobs SET idle_in_transaction_session_timeout" in found.fixes[1].commands[0]
    assert found.impact == pytest.approx(2 / 3)
    assert not list(blocking_transaction(SERVER, window, None, None))


def test_many_idle_transactions_that_block_nobody_are_no_finding() -> None:
    """81 of 90 sessions were idle in transaction in a healthy shop: never by count."""
    crowd = [open_idle(i, age=0.2) for i in range(81)] + [active(100 + i) for i in range(9)]
    assert not list(idle_in_transaction(SERVER, still(*crowd), None))


@pytest.mark.parametrize(("age", "fires"), [(58.4, False), (58.5, True)])
def test_one_that_blocks_nobody_is_a_risk_from_a_minute(age: float, fires: bool) -> None:
    """The last sample, 1.5 s later, decides."""
    found = list(idle_in_transaction(SERVER, still(open_idle(1, age=age)), None))
    assert [f.kind.value for f in found] == (["risk"] if fires else [])


def test_a_session_that_dawdles_in_each_transaction_is_told_to_commit_first() -> None:
    """One session, ever new transactions, idle in each: ending it would mend nothing."""
    ages = (0.4, 0.1, 0.5, 0.2)
    window = Window.of(*(
        activity(open_idle(1, "payer", age=a), waiting(2, 1), waiting(3, 1)) for a in ages
    ))  # fmt: skip
    found = only(list(idle_in_transaction(SERVER, window, None)))
    assert "again and again" in found.summary
    assert found.fixes[0].language == "text"


def test_a_short_idle_root_among_many_is_not_named() -> None:
    """Its share of the blocked time is below a third."""
    others = [s for i in range(3) for s in (active(50 + i), *(waiting(60 + 10 * i + k, 50 + i)
              for k in range(3)))]  # fmt: skip
    window = still(open_idle(1, age=5.0), waiting(2, 1), *others)
    assert not list(idle_in_transaction(SERVER, window, None))


def test_sessions_that_take_turns_are_a_hot_row() -> None:
    """Every sample has another root: the row is the object, not a session."""
    window = Window.of(*(
        activity(active(i), *(waiting(k, i) for k in range(1, 7) if k != i)) for i in range(1, 6)
    ))  # fmt: skip
    table = LockTable((lock(2, "ExclusiveLock", granted=False, kind="tuple"),))
    found = only(list(hot_row(SERVER, window, Window.of(table))))
    assert found.subject == "public.stock"
    assert found.confidence is Confidence.HIGH
    assert not list(blocking_transaction(SERVER, window, None, None))


def test_the_table_of_a_hot_row_is_read_from_the_statement_without_tuple_locks() -> None:
    """Waits for the holder's transaction carry no relation."""
    window = Window.of(*(
        activity(active(i), *(waiting(k, i) for k in range(1, 7) if k != i)) for i in range(1, 6)
    ))  # fmt: skip
    assert only(list(hot_row(SERVER, window, None))).subject == "stock"


def test_few_waiters_or_a_small_share_are_no_hot_row() -> None:
    """One waiter among thirty busy sessions is a counter that works."""
    busy = [active(100 + i) for i in range(30)]
    window = Window.of(*(activity(active(i), waiting(50, i), *busy) for i in range(1, 6)))
    assert not list(hot_row(SERVER, window, None))


def _queue() -> tuple[Session, ...]:
    reader = open_idle(1, "report", query="SELECT * FROM stock")
    alter = waiting(2, 1, event="relation", query="ALTER TABLE stock ADD COLUMN x int",
                    application="migrator", query_age=20.0)  # fmt: skip
    return (reader, alter, *(waiting(i, 2, event="relation", application="web")
                             for i in (3, 4, 5)))  # fmt: skip


def test_a_queued_schema_change_is_the_root_of_those_behind_it() -> None:
    """The reader alone would let all pass."""
    window = still(*_queue())
    table = lock_window(
        lock(2, "AccessExclusiveLock", granted=False),
        *(lock(i, "RowExclusiveLock", granted=False) for i in (3, 4, 5)),
        lock(1, "AccessShareLock", granted=True),
    )
    found = only(list(ddl_queue(SERVER, window, table)))
    assert found.subject == "public.stock by migrator"
    assert found.fixes[0].commands == ("SELECT pg_cancel_backend(2);",)
    assert "report (pid 1" in found.summary
    assert found.explains["postgres.locks"] == pytest.approx(3 / 4)
    assert not list(idle_in_transaction(SERVER, window, table))


def test_a_queue_behind_a_holder_that_conflicts_anyway_is_the_holders() -> None:
    """The holder has an exclusive lock itself: cancelling the ALTER would free nobody."""
    window = still(*_queue())
    table = lock_window(
        lock(2, "AccessExclusiveLock", granted=False),
        *(lock(i, "RowExclusiveLock", granted=False) for i in (3, 4, 5)),
        lock(1, "ExclusiveLock", granted=True),
    )
    assert not list(ddl_queue(SERVER, window, table))
    assert only(list(idle_in_transaction(SERVER, window, table))).subject == "report"


def test_table_lock_conflicts_follow_the_manual() -> None:
    """A sample of the matrix in "Table-Level Locks"."""
    assert conflicts("AccessShareLock", {"AccessExclusiveLock"})
    assert not conflicts("AccessShareLock", {"ExclusiveLock"})
    assert conflicts("RowExclusiveLock", {"ShareLock"})
    assert not conflicts("RowExclusiveLock", {"RowExclusiveLock"})
    assert conflicts("ShareUpdateExclusiveLock", {"ShareUpdateExclusiveLock"})
    assert conflicts("AccessExclusiveLock", {"AccessShareLock"})
    assert not conflicts("AccessExclusiveLock", set())


def test_a_prepared_transaction_is_decided_by_its_name() -> None:
    """Its name is an SQL literal in the fix."""
    holders = XminHolders((XminHolder("prepared transaction", "it's", "shop", 5, 60.0),))
    window = still(waiting(2, 0), waiting(3, 0))
    found = only(list(blocking_transaction(SERVER, window, None, holders)))
    assert found.fixes[0].commands == ("ROLLBACK PREPARED 'it''s';  -- or COMMIT PREPARED",)


def test_an_idle_session_with_an_advisory_lock_is_ended_not_cancelled() -> None:
    """It runs nothing that could be cancelled, and holds the lock until it ends."""
    owner = idle(1, "scheduler", state_age=600.0)
    window = still(owner, waiting(2, 1, event="advisory"))
    found = only(list(blocking_transaction(SERVER, window, None, None)))
    assert (found.subject, found.fixes[0].commands) == (
        "scheduler", ("SELECT pg_terminate_backend(1);",)
    )  # fmt: skip
    assert "idle for 10 min, still holds an advisory lock" in found.summary


def committing(pid: int, age: float) -> Session:
    """A session whose commit waits for the standby."""
    return active(pid, wait_type="IPC", wait_event="SyncRep", query="COMMIT", query_age=age)


@pytest.mark.parametrize(("age", "fires"), [(0.49, False), (1.0, True)])
def test_commits_that_wait_long_for_a_standby_are_named(age: float, fires: bool) -> None:
    """A moment each is what a healthy standby costs."""
    window = Window.of(*(activity(committing(1, age)) for _ in range(4)))
    found = list(sync_commit_stall(SERVER, window, None))
    assert [f.subject for f in found] == (["synchronous_standby_names"] if fires else [])


@pytest.mark.parametrize(("samples", "fires"), [(1, False), (2, True)])
def test_half_a_waiting_commit_on_average_is_needed(samples: int, fires: bool) -> None:
    """Four samples; one of them with a late commit is chance."""
    window = Window.of(*(activity(*([committing(1, 5.0)] if i < samples else []))
                         for i in range(4)))  # fmt: skip
    assert bool(list(sync_commit_stall(SERVER, window, None))) is fires


def test_who_waits_behind_a_commit_waits_for_the_standby() -> None:
    """The commit holds its row locks; its session is not the one to end."""
    window = still(committing(1, 8.0), waiting(2, 1), waiting(3, 1))
    found = only(list(sync_commit_stall(SERVER, window, None)))
    assert found.explains == {"postgres.locks": 1.0}
    assert found.impact == pytest.approx(1.0)
    assert not list(blocking_transaction(SERVER, window, None, None))


def test_the_servers_own_worker_at_the_root_is_named() -> None:
    """An autovacuum against wraparound does not step aside; it is no client's session."""
    worker = active(1, "autovacuum worker", "autovacuum: VACUUM public.stock", user="", client="",
                    transaction_age=900.0)  # fmt: skip
    sample = replace(activity(waiting(2, 1), waiting(3, 1)), workers=(worker,))
    found = only(list(blocking_transaction(SERVER, Window.of(*[sample] * 4), None, None)))
    assert found.subject == "autovacuum worker"
    assert found.explains == {"postgres.locks": 1.0}


def test_spares_of_a_leader_are_no_waiters() -> None:
    """Two schedulers wait for the third one's advisory lock: that is how they elect it."""
    leader = idle(1, "scheduler", state_age=600.0)
    spares = [waiting(i, 1, event="advisory", application="scheduler") for i in (2, 3)]
    window = still(leader, *spares, active(9))
    assert locks(SERVER, window).used == 0
    assert not list(blocking_transaction(SERVER, window, None, None))


@pytest.mark.parametrize(("spares", "fires"), [(3, False), (4, True)])
def test_more_than_three_are_work_that_waits(spares: int, fires: bool) -> None:
    """A connection that was lost with its lock, and the application's requests behind it."""
    queue = [waiting(i, 1, event="advisory", application="web") for i in range(2, 2 + spares)]
    window = still(idle(1, "web", state_age=600.0), *queue)
    assert bool(list(blocking_transaction(SERVER, window, None, None))) is fires


@pytest.mark.parametrize(("others", "severity"), [(2, Severity.HIGH), (3, Severity.LOW)])
def test_one_that_waits_while_others_work_is_no_bottleneck(others: int, severity: Severity) -> None:
    """An index build that waits for an old transaction keeps no client waiting."""
    root = active(1, "report", transaction_age=60.0)
    rest = [idle(i, "web", state_age=0.2) for i in range(10, 9 + others)]
    samples = [activity(root, waiting(2, 1, application="migration"), *rest)] * 4
    found = only(list(blocking_transaction(SERVER, Window.of(*samples), None, None)))
    assert found.severity is severity


def test_sessions_that_ran_something_in_the_window_are_at_work() -> None:
    """On a quick server hardly one of them is active in a sample."""
    quick = [idle(i, "web", state_age=0.1) for i in range(10, 18)]
    samples = [activity(active(1), waiting(2, 1), waiting(3, 1), *quick)] * 4
    assert locks(SERVER, Window.of(*samples)).utilization == pytest.approx(2 / 11)


def test_a_request_that_was_granted_just_now_is_no_ring() -> None:
    """Its blockers are gone, its wait is not yet taken back: it is the new holder."""
    found = blocking(still(waiting(1), waiting(2, 1)), None)
    assert set(found.roots) == {1}


def test_the_name_of_a_relation_elsewhere_is_told_how_to_see() -> None:
    """Its database alone can name it."""
    where = "relation 16402 in database shop"
    table = lock_window(
        lock(2, "AccessExclusiveLock", granted=False, relation=where),
        *(lock(i, "RowExclusiveLock", granted=False, relation=where) for i in (3, 4, 5)),
        lock(1, "AccessShareLock", granted=True, relation=where),
    )
    found = only(list(ddl_queue(SERVER, still(*_queue()), table)))
    assert found.subject == f"{where} by migrator"
    assert found.evidence[-1].value == "in database shop: SELECT 16402::regclass;"
