"""Slots, who holds them, who opens them, and refusals, on plain facts."""

from dataclasses import replace
from typing import Any

import pytest

from scaledoctor.sdk import Confidence, Kind, Reach, Severity, State, Window
from scaledoctor.sources.host import PostgresTitles
from scaledoctor.sources.host.titles import Backend
from scaledoctor.sources.postgres import Newcomer, Newcomers, Session
from scaledoctor_checks.postgres.churn import connection_churn
from scaledoctor_checks.postgres.connections import connection_hog, connections
from scaledoctor_checks.postgres.refused import connections_refused
from tests.checks.pg_facts import (
    SERVER,
    active,
    activity,
    counters,
    idle,
    only,
    open_idle,
    settings,
    still,
)

OPEN = Reach(ok=True, seconds=0.005, local_port=5432)
FULL = Reach(
    ok=False, seconds=0.01, category="slots", code="53300", message="too many clients already",
    local_port=5432,
)  # fmt: skip


def crowd(count: int, application: str = "leaky", **fields: Any) -> list[Session]:
    return [replace(idle(1000 + i, application, state_age=60.0), **fields) for i in range(count)]


@pytest.mark.parametrize(
    ("sessions", "state"),
    [(73, State.OK), (74, State.BUSY), (98, State.BUSY), (99, State.SATURATED)],
)
def test_slots_are_counted_without_the_reserved_and_with_ours(sessions: int, state: State) -> None:
    """100 usable of 103; our own takes one. Busy from 75; a steady pool is full at 100."""
    use = connections(OPEN, still(*crowd(sessions)), settings(100, reserved=3))
    assert use is not None
    assert (use.used, use.limit, use.state) == (sessions + 1, 100.0, state)


def test_sessions_in_reserved_slots_do_not_make_more_than_all() -> None:
    """A superuser scans a full server: 100 of 100, not 101."""
    use = connections(OPEN, still(*crowd(100)), settings(100, reserved=3))
    assert use is not None
    assert use.utilization == 1.0
    found = only(list(connection_hog(SERVER, still(*crowd(100)), settings(100, reserved=3))))
    assert "100 of 100 slots" in found.summary


@pytest.mark.parametrize(("before", "state"), [(81, State.BUSY), (80, State.SATURATED)])
def test_slots_that_fill_up_are_full_from_nine_tenths(before: int, state: State) -> None:
    """89 and ours: a tenth more in the window is growth, less is a pool that breathes."""
    use = connections(
        OPEN, Window.of(activity(*crowd(before)), activity(*crowd(89))), settings(100)
    )
    assert use is not None
    assert use.state is state


def test_a_refusal_alone_saturates_the_slots() -> None:
    """We were not let in, so there is no count; the server's words are the detail."""
    use = connections(FULL, None, None)
    assert use is not None
    assert use.state is State.SATURATED
    assert "too many clients" in use.detail
    assert connections(replace(FULL, category="auth"), None, None) is None


@pytest.mark.parametrize(("mine", "others", "fires"), [(37, 37, True), (36, 38, False)])
def test_the_largest_holder_is_named_from_three_quarters_full(
    mine: int, others: int, fires: bool
) -> None:
    """75 of 100 with ours. Half of the sessions make a holder, one less does not."""
    rest = [idle(i, f"app{i % 3}") for i in range(others)]
    window = still(*crowd(mine), *rest)
    assert bool(list(connection_hog(SERVER, window, settings(100)))) is fires
    roomy = still(*crowd(mine), *rest[1:])
    assert not list(connection_hog(SERVER, roomy, settings(100)))


@pytest.mark.parametrize(("unused", "leaks"), [(56, True), (55, False)])
def test_a_leak_is_seven_tenths_that_ran_nothing(unused: int, leaks: bool) -> None:
    """80 sessions; those that ran a statement since the window began are not leaked."""
    used = [active(i, "leaky") for i in range(80 - unused)]
    rested = [idle(i, "leaky", state_age=0.2) for i in range(80 - unused)]
    window = Window.of(activity(*crowd(unused), *used), activity(*crowd(unused), *rested))
    found = only(list(connection_hog(SERVER, window, settings(100))))
    assert ("leaks them" in found.summary) is leaks
    assert found.subject == "leaky"


def test_the_advised_pool_is_the_measured_peak_with_a_quarter_on_top() -> None:
    """8 busy at once: 8 x 1.25 + 1 = 11; nobody busy: never below 5."""
    busy = [active(i, "leaky") for i in range(8)]
    found = only(list(connection_hog(SERVER, still(*crowd(80), *busy), settings(88))))
    assert "CONNECTION LIMIT 11;" in found.fixes[0].commands[0]
    assert found.kind is Kind.LIVE
    assert "max_pool_size = 11" in found.fixes[1].commands
    found = only(list(connection_hog(SERVER, still(*crowd(94)), settings(100))))
    assert "CONNECTION LIMIT 5;" in found.fixes[0].commands[0]
    assert found.severity is Severity.CRITICAL


def test_a_leak_is_live_from_five_free_slots_of_a_hundred() -> None:
    """95 with ours; one less is a risk, and nobody is ended."""
    found = only(list(connection_hog(SERVER, still(*crowd(94)), settings(100))))
    assert (found.kind, found.fixes[0].language) == (Kind.LIVE, "sql")
    found = only(list(connection_hog(SERVER, still(*crowd(93)), settings(100))))
    assert (found.kind, found.fixes[0].language) == (Kind.RISK, "ini")


def test_a_steady_pool_in_use_is_a_risk_and_nobody_is_ended() -> None:
    """47 of 57 slots, each session ran something a moment ago: it costs nobody anything."""
    window = Window.of(*[activity(*crowd(46, "web", state_age=0.5))] * 4)
    found = only(list(connection_hog(SERVER, window, settings(57))))
    assert found.kind is Kind.RISK
    assert not any("terminate" in c or "LIMIT" in c for fix in found.fixes for c in fix.commands)


@pytest.mark.parametrize(("before", "kind"), [(43, Kind.RISK), (41, Kind.LIVE)])
def test_a_pool_that_grows_is_live(before: int, kind: Kind) -> None:
    """46 now: a tenth of it in one window."""
    window = Window.of(activity(*crowd(before, state_age=0.1)), activity(*crowd(46, state_age=0.1)))
    assert only(list(connection_hog(SERVER, window, settings(57)))).kind is kind


@pytest.mark.parametrize(("slots", "frees"), [(101, True), (102, False)])
def test_a_pool_that_has_the_last_slot_gives_back_what_it_does_not_use(
    slots: int, frees: bool
) -> None:
    """100 sessions and ours: 60 of them ran nothing in the window, too few for a leak."""
    busy = [active(i, "web") for i in range(40)]
    found = only(list(connection_hog(SERVER, still(*crowd(60, "web"), *busy), settings(slots))))
    assert ("Free 60 idle connections now (web 60)" in found.fixes[0].title) is frees


def test_transactions_left_open_are_a_leak_and_not_busy() -> None:
    """A driver that begins by itself leaks sessions idle in transaction."""
    leak = [open_idle(i, "leaky", age=60.0) for i in range(52)]
    found = only(list(connection_hog(SERVER, still(*leak), settings(53))))
    assert "leaks them" in found.summary
    assert "CONNECTION LIMIT 5;" in found.fixes[0].commands[0]
    assert "state IN ('idle', 'idle in transaction')" in found.fixes[0].commands[1]
    assert "max_pool_size = 5" in found.fixes[1].commands


def test_no_pool_larger_than_the_server_is_advised() -> None:
    """All 57 busy: a quarter on top has no room."""
    busy = [active(i, "web") for i in range(57)]
    found = only(list(connection_hog(SERVER, still(*busy), settings(57))))
    assert "max_pool_size = 57" in found.fixes[0].commands


def test_sessions_without_a_name_are_found_by_their_role() -> None:
    """The label falls back to the user, the command must not; others of the role keep theirs."""
    window = still(*crowd(90, ""), idle(1, "cron", user="web"), idle(2, "cron", user="web"))
    found = only(list(connection_hog(SERVER, window, settings(93))))
    limit, end = found.fixes[0].commands
    assert limit == "ALTER ROLE web CONNECTION LIMIT 7;"
    assert "usename = 'web' AND application_name = ''" in end
    masked = only(list(connection_hog(SERVER, still(*crowd(90, "to ***")), settings(91))))
    assert "application_name" not in masked.fixes[0].commands[1]


def test_names_are_quoted_in_what_is_pasted() -> None:
    """A role named like a reserved word, an application with a quote."""
    window = still(*crowd(96, "it's", user="user"))
    found = only(list(connection_hog(SERVER, window, settings(100))))
    assert found.fixes[0].commands[0].startswith('ALTER ROLE "user" CONNECTION LIMIT')
    assert "application_name = 'it''s'" in found.fixes[0].commands[1]
    assert found.severity is Severity.CRITICAL


def test_slots_full_of_waiting_sessions_point_at_the_locks() -> None:
    """The slots are the symptom then."""
    stuck = [active(i, wait_type="Lock", wait_event="tuple", blockers=(1,)) for i in range(2, 95)]
    window = still(open_idle(1), *stuck)
    use = connections(OPEN, window, settings(100))
    assert use is not None
    assert use.waits_for["postgres.locks"] > 0.95
    assert (
        only(list(connection_hog(SERVER, window, settings(100)))).waits_for["postgres.locks"] == 1
    )


def newcomers(rate: float, *labels: str, gone: bool = True) -> Newcomers:
    return Newcomers(
        rate, tuple(Newcomer(i, "role", label, gone) for i, label in enumerate(labels))
    )


@pytest.mark.parametrize(
    ("rate", "transactions", "fires"),
    [(5.0, 499, True), (4.9, 499, False), (5.0, 500, False)],
)
def test_churn_is_five_a_second_for_fewer_than_ten_transactions_each(
    rate: float, transactions: int, fires: bool
) -> None:
    """Ten seconds: 50 sessions for 499 transactions is churn, for 500 it is not."""
    new = newcomers(rate, "cron", "cron")
    found = list(connection_churn(OPEN, counters(commits=transactions), still(), new))
    assert bool(found) is fires


def test_churn_names_who_was_caught_just_born() -> None:
    """Sessions that stay are a pool that grows, and count only where there are no others."""
    mixed = Newcomers(60.0, (
        *newcomers(0, "web", "web", "web", gone=False).sessions, *newcomers(0, "cron").sessions
    ))  # fmt: skip
    window = still(active(1))
    found = only(list(connection_churn(OPEN, counters(commits=900), window, mixed)))
    assert found.subject == "cron"
    assert found.severity is Severity.HIGH
    assert found.impact == pytest.approx(0.3 / 1.3)
    stay = newcomers(60.0, "web", gone=False)
    assert only(list(connection_churn(OPEN, counters(commits=9), window, stay))).subject == "web"


def test_churn_of_many_is_nobodys() -> None:
    """Three applications with a third each: no name, and less sure."""
    new = newcomers(30.0, "a", "b", "c")
    found = only(list(connection_churn(OPEN, counters(commits=90), still(active(1)), new)))
    assert found.subject == "all applications"
    assert found.confidence is Confidence.MEDIUM


def titles(*users: str, port: int | None = 5432, state: str = "idle") -> PostgresTitles:
    return PostgresTitles(
        tuple(Backend(i, port, user, "shop", state) for i, user in enumerate(users)), (5432,)
    )


def test_a_refusal_names_the_role_that_holds_half_of_the_processes() -> None:
    """On the database's own machine the process titles still tell."""
    found = only(list(connections_refused(FULL, titles("jobs", "jobs", "web", "jobs"))))
    assert found.subject == "role jobs"
    assert "holds 3 of 4, 3 of them idle" in found.summary
    assert "usename = 'jobs'" in found.fixes[0].commands[1]
    assert found.confidence is Confidence.HIGH
    assert found.severity is Severity.CRITICAL


@pytest.mark.parametrize(
    "seen",
    [None, titles("a", "b", "c"), titles("jobs", "jobs", port=5433)],
    ids=["elsewhere", "nobody has half", "another server's"],
)
def test_a_refusal_blames_nobody_without_proof(seen: PostgresTitles | None) -> None:
    """The slots are gone for sure, the role is not known."""
    found = only(list(connections_refused(FULL, seen)))
    assert found.subject == "connection slots"
    assert found.confidence is Confidence.MEDIUM


def test_a_remote_server_is_not_explained_by_local_processes() -> None:
    """Without a local port the titles belong to somebody else's database."""
    found = only(list(connections_refused(replace(FULL, local_port=None), titles("jobs"))))
    assert found.subject == "connection slots"


@pytest.mark.parametrize(("busy", "limit"), [(3, 5), (4, 6)])
def test_a_refused_role_is_left_what_it_needs(busy: int, limit: int) -> None:
    """4 busy: 4 x 1.25 + 1 = 6; never below five."""
    work = titles(*["jobs"] * busy, state="SELECT").backends
    seen = PostgresTitles((*work, *titles("jobs", "jobs").backends), (5432,))
    found = only(list(connections_refused(FULL, seen)))
    assert found.fixes[0].commands[0] == f"ALTER ROLE jobs CONNECTION LIMIT {limit};"


@pytest.mark.parametrize(
    ("message", "language"),
    [
        ("remaining connection slots are reserved for non-replication superuser connections",
         "shell"),
        ("remaining connection slots are reserved for roles with the SUPERUSER attribute", "sql"),
        ("sorry, too many clients already", "sql"),
    ],
    ids=["15", "16", "either"],
)  # fmt: skip
def test_what_lets_the_scan_in_exists_on_that_version(message: str, language: str) -> None:
    """Up to 15 the reserved slots are a superuser's alone."""
    found = only(list(connections_refused(replace(FULL, message=message), None)))
    assert found.fixes[1].language == language
    assert not any("TO scaledoctor" in line for line in found.fixes[1].commands)


@pytest.mark.parametrize(
    ("name", "where"), [("role", "usename = 'batch'"), ("database", "datname = 'batch'")]
)
def test_a_limit_of_its_own_is_the_object(name: str, where: str) -> None:
    """Its message says whose; the server has room."""
    message = f'too many connections for {name} "batch"'
    full = replace(FULL, category="limit", message=message)
    found = only(list(connections_refused(full, titles("jobs", "jobs"))))
    assert found.subject == f"{name} batch"
    assert where in found.fixes[0].commands[-1]
    assert len(found.fixes) == 1


def test_other_refusals_are_not_about_slots() -> None:
    """A wrong password is its own line."""
    assert not list(connections_refused(replace(FULL, category="auth"), titles("jobs")))
    assert not list(connections_refused(OPEN, titles("jobs")))


def test_one_shot_needs_no_window_to_count_slots() -> None:
    """--window 0 takes one sample."""
    use = connections(OPEN, Window.of(activity(*crowd(10))), settings(100))
    assert use is not None
    assert use.used == 11
