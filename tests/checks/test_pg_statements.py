"""Statements by their share, the processor they fill, and deadlocks, on plain facts."""

from dataclasses import replace

import pytest

from scaledoctor.sdk import Severity, Unavailable, Window
from scaledoctor.sources.host import CpuTimes, HostInfo, Process, Processes
from scaledoctor.sources.postgres import Statements, Tables
from scaledoctor_checks.postgres._heavy import heavy
from scaledoctor_checks.postgres.cpu_bound import cpu_bound
from scaledoctor_checks.postgres.deadlocks import deadlocks
from scaledoctor_checks.postgres.statements import statement_share
from tests.checks.pg_facts import (
    SERVER,
    active,
    activity,
    counters,
    idle,
    only,
    settings,
    statement,
    statements,
    still,
    table,
    waiting,
)

SLOW = "SELECT * FROM orders WHERE customer = $1"
CHEAP = "SELECT 1"


def test_counters_and_samples_give_the_larger_time() -> None:
    """What never finishes is known from samples, what is short from counters."""
    window = still(active(1, query="SELECT forever()", query_age=50.0), samples=21)
    found = heavy(window, statements(statement("7", 1000, 2.0, query=CHEAP)))
    assert [(h.query, round(h.seconds, 1), h.calls) for h in found] == [
        ("SELECT forever()", 10.5, 0),
        (CHEAP, 2.0, 1000),
    ]
    assert found[0].mean == 60.0
    assert sum(h.share for h in found) == pytest.approx(1.0)


def test_one_statement_of_two_roles_is_added_up() -> None:
    """pg_stat_statements has a row for each role."""
    grown = statements(
        statement("7", 10, 3.0, 100, 5, CHEAP, "10"), statement("7", 20, 4.0, 50, 5, CHEAP, "11")
    )
    (found,) = heavy(still(), grown)
    assert (found.calls, found.seconds, found.blocks, found.rows) == (30, 7.0, 150, 10)


def test_a_reset_in_the_window_counts_from_zero() -> None:
    """Fewer calls than before: all of them are new."""
    before = Statements((statement("7", 500, 90.0, query=CHEAP),), 0, None)
    after = Statements((statement("7", 20, 4.0, query=CHEAP),), 0, None)
    (found,) = heavy(still(), Window(((0.0, before), (10.0, after))))
    assert (found.calls, found.seconds) == (20, 4.0)


def scan(share: float, blocks_per_call: int, *, rows: int = 100) -> Window[Statements]:
    """100 calls with that share of 10 seconds of statement time."""
    return statements(
        statement("1", 100, 10.0 * share, 100 * blocks_per_call, rows, SLOW),
        statement("2", 100_000, 10.0 * (1 - share), 100_000, 100_000, CHEAP),
    )


WINDOW = still(idle(1), samples=21)


@pytest.mark.parametrize(
    ("share", "blocks", "severity"),
    [
        (0.61, 5000, Severity.CRITICAL),
        (0.5, 5000, Severity.HIGH),
        (0.5, 200, Severity.HIGH),
        (0.5, 199, Severity.INFO),
    ],
)
def test_a_dominant_statement_that_reads_in_vain_is_named(
    share: float, blocks: int, severity: Severity
) -> None:
    """200 blocks for one row is waste, 199 is a statement that is merely frequent."""
    facts, tables = scan(share, blocks), table("orders", 5000, "id")
    found = [
        f for f in statement_share(SERVER, WINDOW, facts, tables, None, None, None)
        if "customer" in f.subject
    ]  # fmt: skip
    assert only(found).severity is severity
    assert found[0].impact == pytest.approx(share if severity > Severity.INFO else 0.0)


def test_below_its_share_a_statement_is_one_of_many() -> None:
    """Three with a third each, all wasteful: the list is for people, not a verdict."""
    thirds = statements(*(
        statement(str(i), 100, 3.0, 500_000, 100, f"SELECT {'x' * i} FROM t WHERE a = $1")
        for i in (1, 2, 3)
    ))  # fmt: skip
    assert not list(statement_share(SERVER, WINDOW, thirds, None, None, None, None))


def test_the_index_that_is_missing_is_the_object_and_the_fix() -> None:
    """The predicate's column leads no index of a large table."""
    facts = scan(0.8, 5000)
    found = only(
        list(statement_share(SERVER, WINDOW, facts, table("orders", 5000, "id"), None, None, None))
    )
    assert found.subject == "public.orders(customer)"
    assert found.fixes[0].commands == (
        "CREATE INDEX CONCURRENTLY orders_customer_idx ON public.orders (customer);",
    )
    assert found.fixes[0].undo == "DROP INDEX CONCURRENTLY public.orders_customer_idx;"


@pytest.mark.parametrize(
    "tables",
    [
        table("orders", 5000, "customer"),
        table("orders", 99, "id"),
        table("orders", 5000, "id", locked=True),
        None,
    ],
    ids=["already indexed", "small", "locked", "not seen"],
)
def test_no_index_is_advised_without_proof(tables: Tables | None) -> None:
    """Then the plan is the next question."""
    found = only(list(statement_share(SERVER, WINDOW, scan(0.8, 5000), tables, None, None, None)))
    assert found.fixes[0].commands == (f"EXPLAIN (GENERIC_PLAN) {SLOW};",)


def test_a_statement_that_waits_for_locks_is_a_symptom() -> None:
    """Its time is the lock's."""
    stuck = [waiting(i, 1, query=SLOW, query_id="1") for i in range(2, 6)]
    window = still(*stuck, samples=21)
    found = next(iter(statement_share(SERVER, window, scan(0.9, 5000), None, None, None, None)))
    assert found.waits_for["postgres.locks"] == 1.0
    assert found.severity is Severity.INFO


def test_a_report_that_runs_alone_is_no_bottleneck() -> None:
    """One session, one call, twenty seconds: somebody's own work, and nobody waits for it."""
    window = still(active(1, query=SLOW, query_id="1", query_age=20.0), samples=21)
    facts = statements(statement("1", 1, 10.0, 500_000, 10, SLOW))
    found = only(list(statement_share(SERVER, window, facts, None, None, None, None)))
    assert (found.severity, found.impact) == (Severity.INFO, 0.0)


@pytest.mark.parametrize(("calls", "severity"), [(1, Severity.INFO), (2, Severity.CRITICAL)])
def test_calls_make_a_statement_everybodys(calls: int, severity: Severity) -> None:
    """From a call in five seconds on it is no single job."""
    window = still(active(1, query=SLOW, query_id="1"), samples=21)
    facts = statements(statement("1", calls, 10.0, 500_000 * calls, 10, SLOW))
    found = only(list(statement_share(SERVER, window, facts, None, None, None, None)))
    assert found.severity is severity


def test_a_report_on_a_full_machine_is_named() -> None:
    """All cores are busy and others queue for them."""
    cpu, processes = host(2.0, 8, 1.9)
    window = still(active(1, query=SLOW, query_id="1", query_age=20.0), samples=21)
    facts = statements(statement("1", 1, 10.0, 500_000, 10, SLOW))
    found = only(list(statement_share(LOCAL, window, facts, None, processes, cpu, TWO)))
    assert found.severity is Severity.CRITICAL


TWO = HostInfo(cores=2, memory=8 << 30, container=False)
LOCAL = replace(SERVER, local=True)


def host(busy: float, running: int, database: float) -> tuple[Window[CpuTimes], Window[Processes]]:
    """Ten seconds with that many cores busy, tasks running and cores used by PostgreSQL."""

    def cpu(seconds: float) -> CpuTimes:
        used = busy * seconds
        return CpuTimes(used, 0.0, 0.0, 0.0, (used / 2, used / 2), running, 0, None, None, None)

    def table(seconds: float) -> Processes:
        server = Process(5, "postgres", database * seconds, 0.0, own=False, ran=database * seconds)
        return Processes((server,))

    return (
        Window(((0.0, cpu(0.0)), (10.0, cpu(10.0)))),
        Window(((0.0, table(0.0)), (10.0, table(10.0)))),
    )


@pytest.mark.parametrize(
    ("busy", "running", "database", "fires"),
    [
        (1.8, 4, 1.0, True),
        (1.79, 4, 1.0, False),
        (1.8, 3, 1.0, False),
        (1.8, 4, 0.99, False),
    ],
    ids=["at every edge", "cores to spare", "no queue", "others use the cores"],
)
def test_the_database_fills_the_machine_with_ordinary_work(
    busy: float, running: int, database: float, fires: bool
) -> None:
    """All cores full, twice as many tasks, half of the cores PostgreSQL's."""
    cpu, processes = host(busy, running, database)
    cheap = statements(statement("2", 100_000, 9.0, 100_000, 100_000, CHEAP))
    found = list(cpu_bound(LOCAL, WINDOW, cheap, TWO, cpu, processes))
    assert bool(found) is fires
    with pytest.raises(Unavailable):
        list(cpu_bound(SERVER, WINDOW, cheap, TWO, cpu, processes))


def test_a_wasteful_statement_takes_the_blame_for_the_cores() -> None:
    """Then it is named itself."""
    cpu, processes = host(2.0, 8, 1.9)
    assert not list(cpu_bound(LOCAL, WINDOW, scan(0.8, 5000), TWO, cpu, processes))


@pytest.mark.parametrize(("count", "severity"), [(0, None), (1, Severity.HIGH), (2, Severity.HIGH)])
def test_deadlocks_count_from_the_first(count: int, severity: Severity | None) -> None:
    """One in ten seconds is six a minute, above the five of a storm."""
    found = list(deadlocks(counters(deadlocks=count), still(active(1)), None, settings()))
    assert [f.severity for f in found] == ([severity] if severity else [])


def test_one_deadlock_a_minute_is_no_storm() -> None:
    """A client that retries lives with it."""
    found = only(list(deadlocks(counters(60.0, deadlocks=1), still(active(1)), None, settings())))
    assert found.severity is Severity.MEDIUM


def test_sessions_behind_a_ring_are_the_deadlocks_cost() -> None:
    """Four wait in or behind a ring all the time: nearly all busy time is lost."""
    ring = [waiting(1, 2), waiting(2, 1), waiting(3, 1), waiting(4, 2)]
    found = only(list(deadlocks(counters(deadlocks=3), still(*ring, samples=21), None, settings())))
    assert found.impact == pytest.approx(1.0)
    assert found.explains["postgres.locks"] == pytest.approx(1.0)
    assert "UPDATE stock" in found.subject


def test_deadlocks_elsewhere_are_named_by_database() -> None:
    """Nobody waits in the samples, so no statement is known."""
    sample = Window.of(activity(active(1)), activity(active(1)))
    found = only(list(deadlocks(counters(deadlocks=3), sample, None, settings())))
    assert found.subject == "database shop"


@pytest.mark.parametrize(
    ("computing", "running", "fires"), [(4, 4, True), (2, 4, True), (1, 4, False), (4, 3, False)]
)
def test_on_another_machine_its_sessions_count_as_tasks(
    computing: int, running: int, fires: bool
) -> None:
    """Its node_exporter tells the cores, not the processes; its name stands in the finding."""
    cpu, _ = host(2.0, running, 0.0)
    window = still(*(active(pid, query=f"SELECT {pid}") for pid in range(1, computing + 1)))
    cheap = statements(statement("2", 100_000, 9.0, 100_000, 100_000, CHEAP))
    there = replace(TWO, machine="db1")
    found = list(cpu_bound(SERVER, window, cheap, there, cpu, None))
    assert bool(found) is fires
    if fires:
        assert "of 2 cores of db1" in found[0].summary
        assert list(found[0].explains) == ["host.cpu:db1"]
    with pytest.raises(Unavailable) as unseen:  # another machine's cores
        list(cpu_bound(SERVER, window, cheap, TWO, cpu, None))
    assert "--node-exporter" in unseen.value.enable
