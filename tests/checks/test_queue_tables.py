"""Checks on queues in PostgreSQL's tables at their thresholds: quiet first, then each edge."""

from dataclasses import replace
from typing import Any

import pytest

from scaledoctor.diagnosis.rank import rank
from scaledoctor.sdk import Confidence, Finding, Kind, Severity, Unavailable, Use, Window
from scaledoctor.sources.postgres import Activity, Statements, XminHolder, XminHolders
from scaledoctor.sources.postgres.queues import QueueTables
from scaledoctor.sources.queues import Queues, Unread
from scaledoctor_checks.postgres.statements import statement_share
from scaledoctor_checks.queues.backlog import backlog
from scaledoctor_checks.queues.fetch import fetch
from scaledoctor_checks.queues.unread import table_unread
from scaledoctor_checks.queues.xmin_collapse import xmin_collapse
from tests.checks.pg_facts import SERVER, active, activity, idle, only, open_idle, statement
from tests.checks.pg_facts import statements as read_twice
from tests.checks.pg_facts import still as sessions
from tests.checks.queue_facts import growing, still
from tests.checks.queue_table_facts import FETCH, tables

CHURN = {"updated": (0, 3000), "deleted": (0, 3000)}
SICK = tables(dead=(40_000, 60_000), **CHURN)
HOLDER = open_idle(9, "report", age=60.0, xid_age=30_000)
FETCHING = [active(i, "shop", FETCH) for i in range(3)]
COLLAPSED = sessions(HOLDER, *FETCHING)
QUEUE = still(system="oban", ready=50, in_flight=1)


def collapse(
    found: Window[QueueTables] = SICK,
    active: Window[Activity] = COLLAPSED,
    holders: XminHolders | None = None,
    calls: Window[Statements] | None = None,
    queues: Window[Queues] | None = QUEUE,
) -> list[Finding]:
    """The check on these facts."""
    return list(xmin_collapse(found, SERVER, active, holders, calls, queues))


def calls(blocks: int, before: int = 20) -> Window[Statements]:
    """A fetch that reads so many blocks a call in the window, and ``before`` earlier."""
    first = statement("1", 1000, 1.0, blocks=1000 * before, query=FETCH)
    last = statement("1", 1100, 9.0, blocks=1000 * before + 100 * blocks, query=FETCH)
    return Window(((0.0, Statements((first,), 0, None)), (10.0, Statements((last,), 0, None))))


QUIET: dict[str, list[Finding]] = {
    "nobody holds it": collapse(active=sessions(*FETCHING)),
    "a young transaction": collapse(active=sessions(open_idle(9, age=5.0, xid_age=30_000))),
    "a transaction without a snapshot": collapse(active=sessions(open_idle(9, age=60.0))),
    "in another database": collapse(
        active=sessions(open_idle(9, age=60.0, xid_age=30_000, database="other"))
    ),
    "few dead rows": collapse(tables(dead=(9000, 9999), **CHURN)),
    "vacuum gets on": collapse(tables(dead=(60_000, 20_000), **CHURN)),
    "nobody writes": collapse(tables(dead=(60_000, 60_000))),
    "many more living": collapse(tables(dead=(40_000, 60_000), live=60_001, **CHURN)),
    "and cheap fetches": collapse(
        tables(dead=(40_000, 60_000), live=60_001, **CHURN), calls=calls(99)
    ),
    "a slot for the catalogue": collapse(
        active=sessions(*FETCHING),
        holders=XminHolders((XminHolder("replication slot", "s", "shop", 10**6, None, True),)),
    ),
    "a fresh slot": collapse(
        active=sessions(*FETCHING),
        holders=XminHolders((XminHolder("replication slot", "s", "", 9_999, None),)),
    ),
}


@pytest.mark.parametrize("found", QUIET.values(), ids=QUIET)
def test_a_healthy_table_is_quiet(found: list[Finding]) -> None:
    """Churn, dead rows and transactions are everyday; only together they are a collapse."""
    assert found == []


def test_it_costs_now() -> None:
    """Three sessions fetch, one job is worked on: who holds it, and what ends it."""
    finding = only(collapse(calls=calls(800)))
    assert finding.subject == "public.oban_jobs"
    assert finding.summary.startswith("report (pid 9, user web, from 10.0.0.7), in a transaction")
    assert "60,000 dead rows" in finding.summary
    assert "a fetch reads 800 blocks" in finding.summary
    assert (finding.kind, finding.severity) == (Kind.LIVE, Severity.HIGH)
    assert finding.explains["queue.fetch:public.oban_jobs"] == pytest.approx(60_000 / 60_200)
    assert finding.impact == pytest.approx(0.75, abs=0.01)
    assert finding.fixes[0].commands[0] == "SELECT pg_terminate_backend(9);"
    assert "autovacuum_vacuum_scale_factor = 0" in finding.fixes[1].commands[0]


@pytest.mark.parametrize(
    ("fetching", "in_flight", "live"), [(1, 3, True), (1, 4, False), (0, 0, False), (2, 6, True)]
)
def test_it_is_a_risk_while_workers_mostly_work(fetching: int, in_flight: int, live: bool) -> None:
    """From a quarter of their time on it costs."""
    window = still(system="oban", ready=50, in_flight=in_flight)
    finding = only(collapse(active=sessions(HOLDER, *FETCHING[:fetching]), queues=window))
    assert (finding.kind is Kind.LIVE) is live
    assert bool(finding.explains) is live


def test_dead_rows_that_a_fetch_reads_count_beside_many_living() -> None:
    """A hundred blocks for one job, where there were twenty."""
    found = tables(dead=(40_000, 60_000), live=900_000, **CHURN)
    finding = only(collapse(found, calls=calls(100)))
    assert finding.explains["queue.fetch:public.oban_jobs"] == pytest.approx(0.8)
    assert finding.confidence is Confidence.HIGH


@pytest.mark.parametrize(
    ("holder", "command"),
    [
        (
            XminHolder("replication slot", "old", "", 10_000, None),
            "pg_drop_replication_slot('old')",
        ),
        (XminHolder("prepared transaction", "x", "shop", 50, 60.0), "ROLLBACK PREPARED 'x'"),
        (XminHolder("standby", "s1", "repl", 10_000, None), "hot_standby_feedback = off"),
    ],
)
def test_what_holds_it_without_a_session(holder: XminHolder, command: str) -> None:
    """Slots and standbys tell no time: their age in transactions stands for it."""
    finding = only(collapse(active=sessions(*FETCHING), holders=XminHolders((holder,))))
    assert command in finding.fixes[0].commands[0]


def test_a_table_that_is_tuned_already_needs_no_settings() -> None:
    """Then only the end of the holder helps."""
    tuned = tables(dead=60_000, tuned=[("autovacuum_vacuum_scale_factor=0",)] * 2, **CHURN)
    assert len(only(collapse(tuned)).fixes) == 1


def test_hidden_sessions_are_said() -> None:
    """A role that does not see transactions cannot say that nobody holds the horizon."""
    hidden = Window.of(activity(idle(1), hidden=1))
    with pytest.raises(Unavailable):
        collapse(active=hidden)


def test_backlog_of_workers_that_look_for_jobs_needs_no_workers() -> None:
    """Three of four worker sessions read through dead rows."""
    window = growing(400, 500, system="oban", oldest=45.0, in_flight=1)
    found = backlog(window, COLLAPSED, SERVER, None, None, SICK.last)
    finding = next(iter(found))
    assert finding.waits_for == {"queue.fetch:public.oban_jobs": 0.75}
    assert "75% of its workers' time goes into taking jobs from public.oban_jobs" in finding.summary
    assert "more workers do not help" in finding.summary


def test_backlog_with_cheap_fetches_needs_workers() -> None:
    """One session in three fetches: that is what polling costs."""
    window = growing(400, 500, system="oban", oldest=45.0, in_flight=2)
    seen = Window.of(*(activity(*FETCHING[: int(i % 4 == 0)]) for i in range(8)))
    finding = next(iter(backlog(window, seen, SERVER, None, None, SICK.last)))
    assert not finding.waits_for


def test_what_puts_jobs_in_takes_none() -> None:
    """Producers of jobs are no workers."""
    window = growing(400, 500, system="oban", oldest=45.0, in_flight=1)
    puts = sessions(*(active(i, "shop", "INSERT INTO oban_jobs (queue) VALUES ($1)")
                      for i in range(4)))  # fmt: skip
    finding = next(iter(backlog(window, puts, SERVER, None, None, SICK.last)))
    assert not finding.waits_for


@pytest.mark.parametrize(("count", "state"), [(0, "ok"), (1, "saturated"), (3, "saturated")])
def test_the_use_of_fetching(count: int, state: str) -> None:
    """Sessions that take jobs over all that workers do."""
    seen = sessions(*FETCHING[:count])
    (use,) = fetch(SICK.last, SERVER, seen, still(system="oban", ready=5, in_flight=1))
    assert isinstance(use, Use)
    assert (use.used, use.limit, use.state.value) == (count, max(1, count + 1), state)


def test_what_could_not_be_read_is_a_blind_spot() -> None:
    """With its grant; a lock has none."""
    assert not list(table_unread(Queues(())))
    right = Unread("public.oban_jobs", "role x may not read it", "GRANT SELECT ON oban_jobs TO x;")
    lock = Unread("pgmq.q_mail", "somebody holds or awaits an exclusive lock on it", "")
    one, two = table_unread(Queues((), unread=(right, lock)))
    assert one.kind is two.kind is Kind.BLIND_SPOT
    assert one.fixes[0].commands == ("GRANT SELECT ON oban_jobs TO x;",)
    assert "who holds the lock" in two.fixes[0].commands[0]


def test_more_than_was_counted_is_said() -> None:
    """A bounded count is no number of jobs."""
    window: Any = growing(9_000, 10_001, system="oban", oldest=45.0, in_flight=1, more=True)
    finding = next(iter(backlog(window, None, None, None, None, None)))
    assert "more than 10,000 jobs wait" in finding.summary


def test_statements_are_read_twice_or_not_at_all() -> None:
    """One reading gives no blocks per call; what never ran before neither."""
    new = read_twice(statement("1", 100, 9.0, blocks=90_000, query=FETCH))
    assert "blocks" not in only(collapse(calls=new)).summary
    assert "blocks" not in only(collapse(calls=Window.of(new.last))).summary


def roots(found: Window[QueueTables]) -> set[tuple[str, str]]:
    """The statement that takes jobs and the collapse: which check is a root, with what below."""
    slow = calls(3000)
    rest: list[Any] = [*[None] * 10, found.last]
    heavy = statement_share(SERVER, COLLAPSED, slow, *rest)
    named = [replace(f, check="postgres.statement-share", target="postgres") for f in heavy]
    named += [
        replace(f, check="queue.xmin-collapse", target="postgres")
        for f in collapse(found, calls=slow)
    ]
    uses = [
        replace(use, resource="queue.fetch", target="postgres")
        for use in fetch(found.last, SERVER, COLLAPSED, QUEUE)
    ]
    return {
        (root.finding.check, " ".join({symptom.check for symptom in root.symptoms}))
        for root in rank(uses, named)
    }


def test_the_statement_that_takes_jobs_is_a_symptom_of_who_keeps_the_dead_rows() -> None:
    assert roots(SICK) == {("queue.xmin-collapse", "postgres.statement-share")}


def test_a_slow_fetch_without_dead_rows_is_its_own_cause() -> None:
    assert roots(tables(dead=(50, 60), **CHURN)) == {("postgres.statement-share", "")}
    vacuumed = tables(dead=(60_000, 20_000), **CHURN)  # dead rows, and nobody who keeps them
    assert roots(vacuumed) == {("postgres.statement-share", "")}
