"""Rows that many want: turns, and locks that several hold together, on plain facts."""

from dataclasses import replace

import pytest

from scaledoctor.sdk import Confidence, Window
from scaledoctor.sources.postgres import Activity, Lock, Session
from scaledoctor_checks.postgres.blocking_transaction import blocking_transaction
from scaledoctor_checks.postgres.hot_row import hot_row
from scaledoctor_checks.postgres.idle_in_transaction import idle_in_transaction
from tests.checks.pg_facts import (
    SERVER,
    active,
    activity,
    lock,
    lock_window,
    only,
    open_idle,
    still,
    waiting,
)

PICK = "SELECT n FROM stock WHERE id = $1 FOR UPDATE"
SHARE = "SELECT n FROM stock WHERE id = $1 FOR SHARE"


def turns(*roots: int, wants: str = PICK, application: str = "web") -> Window[Activity]:
    """Each of four sessions may hold the row for a sample or several; the others wait for it."""
    ages: dict[int, float] = {}
    samples: list[Activity] = []
    for before, root in zip((0, *roots), roots, strict=False):
        ages[root] = ages.get(root, 0.0) + 0.5 if before == root else 0.5
        at_work = active(root, application, "SELECT pg_sleep($1)", transaction_age=ages[root])
        others = (waiting(i, root, query=wants) for i in range(1, 5) if i != root)
        samples.append(activity(at_work, *others))
    return Window.of(*samples)


@pytest.mark.parametrize("roots", [(1, 1, 1, 2), (1, 1, 2, 2), (1, 2, 2, 2), (1, 2, 3, 4)])
def test_who_waited_for_the_row_has_its_turn(roots: tuple[int, ...]) -> None:
    """However long each holds it, none of them is the cause."""
    window = turns(*roots)
    found = only(list(hot_row(SERVER, window, None)))
    assert found.explains == {"postgres.locks": 1.0}
    assert not list(blocking_transaction(SERVER, window, None, None))


def test_one_that_holds_it_all_the_time_is_the_cause() -> None:
    """Nobody else had it."""
    window = turns(1, 1, 1, 1)
    assert not list(hot_row(SERVER, window, None))
    assert only(list(blocking_transaction(SERVER, window, None, None))).subject == "web"


def test_one_that_waited_for_something_else_is_no_turn() -> None:
    """A migration that got its lock: what it waited for is not what others wait for."""
    first = activity(active(1), waiting(2, 1, query="ALTER TABLE stock ADD x int"))
    rest = [activity(active(2, "migrator"), *(waiting(i, 2) for i in (3, 4)))] * 3
    window = Window.of(first, *rest)
    assert not list(hot_row(SERVER, window, None))
    found = only(list(blocking_transaction(SERVER, window, None, None)))
    assert found.subject == "migrator"


def _new_each_time(label: str) -> Window[Activity]:
    return Window.of(*(
        activity(active(1, label, transaction_age=age), *(waiting(i, 1) for i in (2, 3)))
        for age in (0.4, 0.1, 0.4, 0.1)
    ))  # fmt: skip


def test_ever_new_transactions_of_one_program_are_to_be_shorter() -> None:
    """To cancel one of them mends nothing."""
    found = only(list(blocking_transaction(SERVER, _new_each_time("job"), None, None)))
    assert "again and again" in found.summary
    assert found.fixes[0].language == "text"
    assert not list(hot_row(SERVER, _new_each_time("job"), None))


def test_ever_new_transactions_of_one_of_the_crowd_are_a_hot_row() -> None:
    """It is quick enough to get the row twice."""
    window = _new_each_time("web")
    assert not list(blocking_transaction(SERVER, window, None, None))
    assert only(list(hot_row(SERVER, window, None))).subject == "stock"


def sharer(pid: int, application: str, query: str = SHARE) -> Session:
    return open_idle(pid, application, query=query, xid_age=1)


def row_locks(*holders: int, mode: str = "RowShareLock") -> tuple[Lock, ...]:
    return (
        lock(9, "ExclusiveLock", granted=True, kind="tuple"),
        lock(9, "RowExclusiveLock", granted=True),
        *(lock(pid, mode, granted=True) for pid in holders),
    )


def test_all_who_share_a_row_are_named() -> None:
    """The server tells of one after the other: they are one cause, and less sure."""
    holders = (sharer(1, "api"), sharer(2, "cron", "INSERT INTO line VALUES ($1)"))
    samples = [
        activity(*holders, waiting(9, front), waiting(10, 9, event="tuple"))
        for front in (1, 1, 2, 2)
    ]
    found = only(
        list(idle_in_transaction(SERVER, Window.of(*samples), lock_window(*row_locks(1, 2))))
    )
    assert found.confidence is Confidence.MEDIUM
    assert "cron (pid 2) locked rows of the same table" in found.summary
    assert found.fixes[0].commands == (
        "SELECT pg_terminate_backend(1);  -- api", "SELECT pg_terminate_backend(2);  -- cron",
    )  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        sharer(2, "cron", PICK),
        replace(sharer(2, "cron"), xid_age=None),
        waiting(2, 1, query=SHARE, xid_age=1),
    ],
    ids=["takes it alone", "locked nothing", "waits itself"],
)
def test_who_cannot_share_the_row_is_left_alone(other: Session) -> None:
    """Only what its statement and its locks tell."""
    window = still(sharer(1, "api"), other, waiting(9, 1))
    found = only(list(idle_in_transaction(SERVER, window, lock_window(*row_locks(1, 2)))))
    assert "same table" not in found.summary
    assert found.confidence is Confidence.HIGH


def test_who_changed_rows_of_the_table_holds_them_alone() -> None:
    """A row that was updated is nobody else's."""
    locks = lock_window(*row_locks(1), *row_locks(2), lock(2, "RowExclusiveLock", granted=True))
    window = still(sharer(1, "api"), sharer(2, "cron"), waiting(9, 1))
    assert only(list(idle_in_transaction(SERVER, window, locks))).confidence is Confidence.HIGH


def test_sharers_at_work_are_named_too() -> None:
    """The one in front runs a statement."""
    busy = active(1, "api", SHARE, transaction_age=30.0, xid_age=1)
    window = still(busy, sharer(2, "cron"), waiting(9, 1))
    found = only(list(blocking_transaction(SERVER, window, lock_window(*row_locks(1, 2)), None)))
    assert found.confidence is Confidence.MEDIUM
    assert "-- cron" in found.fixes[0].commands[1]


@pytest.mark.parametrize(("advisory", "words"), [(3, "an advisory lock"), (2, "the same rows")])
def test_turns_on_an_advisory_lock_are_no_rows(advisory: int, words: str) -> None:
    """What most of them wait for."""
    pids = range(1, 6)
    window = Window.of(*(
        activity(active(root), *(
            waiting(pid, root, event="advisory" if n < advisory else "transactionid")
            for n, pid in enumerate(p for p in pids if p != root)
        ))
        for root in pids
    ))  # fmt: skip
    found = only(list(hot_row(SERVER, window, None)))
    assert f"take turns on {words}" in found.summary
    assert ("pg_try_advisory_lock" in str(found.fixes)) is (advisory > 2)
