"""N+1: from a SQL log, and from counts alone, on plain facts."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from scaledoctor.logs.nplusone.judging import Pattern
from scaledoctor.logs.nplusone.report import Repeated, RepeatedQueries
from scaledoctor.sdk import Confidence, Finding, Kind, Severity, Unavailable, Window
from scaledoctor.sources.host import CpuTimes, HostInfo, Process, Processes
from scaledoctor.sources.pgbouncer import PoolerDatabases
from scaledoctor.sources.postgres import Statement, Statements
from scaledoctor.sql.look_ups import Relation
from scaledoctor_checks.app.n_plus_one import n_plus_one
from scaledoctor_checks.app.n_plus_one_suspected import n_plus_one_suspected
from tests.checks.pg_facts import (
    SERVER,
    active,
    idle,
    only,
    open_idle,
    statement,
    statements,
    still,
)
from tests.checks.pool_facts import backends, databases

ONE = Repeated(
    pattern=Pattern.N_PLUS_ONE, child="SELECT * FROM customer WHERE id = $1",
    parent="SELECT * FROM orders", route="/orders", requests=10, calls=300, median=30, p95=40,
    most=55, seconds=0.3, waited=0.3, gap=0.001, saved=0.5, grade=3, sure=True, constant=False,
    relation=Relation.BELONGS_TO, table="customer", column="id", parent_table="orders",
    batched="SELECT * FROM customer WHERE id = ANY($1)", first=1000.0, last=1060.0,
)  # fmt: skip
LOG = RepeatedQueries(
    live=True, seconds=60.0, statements=1000, busy=10.0, pooled=False, found=(ONE,)
)


def found(log: RepeatedQueries = LOG, **changes: Any) -> list[Finding]:
    """What the check says of one repeated statement."""
    changed = replace(log, found=(replace(ONE, **changes),))
    return list(n_plus_one(changed))


def test_a_log_without_repeats_is_quiet() -> None:
    """Nothing was found in it."""
    assert not list(n_plus_one(replace(LOG, found=())))


def test_it_names_request_look_up_and_list() -> None:
    """With the ORM's words and the batched statement."""
    one = only(found())
    assert one.summary == (
        "/orders looks up customer.id 30 times (p95 40), once for each row of orders: 30% of all "
        "statements, 3% of the database's time"
    )
    assert one.subject == "SELECT * FROM customer WHERE id = $1 for each row of orders in /orders"
    assert (one.severity, one.kind, one.confidence) == (
        Severity.MEDIUM, Kind.LIVE, Confidence.HIGH,
    )  # fmt: skip
    commands = [c for fix in one.fixes for c in fix.commands]
    assert 'Django: Order.objects.select_related("customer")' in commands
    assert "SELECT * FROM customer WHERE id = ANY($1);" in commands


@pytest.mark.parametrize(
    ("calls", "seconds", "p95", "severity"),
    [(99, 0.49, 99, Severity.LOW), (100, 0.1, 30, Severity.MEDIUM), (60, 0.5, 30, Severity.MEDIUM),
     (60, 0.1, 100, Severity.MEDIUM), (499, 2.4, 30, Severity.MEDIUM), (500, 0.1, 5, Severity.HIGH),
     (60, 2.5, 5, Severity.HIGH), (49, 2.5, 5, Severity.LOW)],
)  # fmt: skip
def test_severity_by_share(calls: int, seconds: float, p95: int, severity: Severity) -> None:
    """Statements, time and length, each at its edge."""
    assert only(found(calls=calls, seconds=seconds, p95=p95)).severity is severity


@pytest.mark.parametrize(
    ("own", "seconds", "kind"),
    [("a", 60.0, Kind.LIVE), ("a", 61.0, Kind.RISK), ("", 61.0, Kind.LIVE)],
)
def test_an_idle_servers_own_log_has_no_bottleneck(own: str, seconds: float, kind: Kind) -> None:
    """It holds 0.6 s: a hundredth of a minute."""
    log = replace(LOG, own=own, seconds=seconds)
    assert only(found(log)).kind is kind


def test_what_costs_nothing_is_left_out() -> None:
    """Below 10 ms and half a per cent of the database's time."""
    assert not found(seconds=0.004, waited=0.005)
    assert found(seconds=0.004, waited=0.006)
    assert found(replace(LOG, busy=0.8), seconds=0.004, waited=0.005)


def test_lists_of_one_table_are_one_finding() -> None:
    """Their statements differ, the object does not."""
    other = replace(ONE, parent="SELECT * FROM orders WHERE status = $1", p95=50)
    one = only(list(n_plus_one(replace(LOG, found=(ONE, other)))))
    assert {e.fact: e.value for e in one.evidence}["round trips"] == 600
    assert "(p95 50)" in one.summary


def test_a_log_without_times_goes_by_statements() -> None:
    """SQLAlchemy's echo has none."""
    one = only(found(replace(LOG, busy=0.0), seconds=0.0, waited=0.3))
    assert one.summary.endswith("30% of all statements")


@pytest.mark.parametrize("pooled", ["log", "pooler", "server"])
def test_clients_that_share_a_session_are_suspected(pooled: str) -> None:
    """With the settings that make the next run exact, before the fix itself."""
    log = replace(LOG, pooled=pooled == "log", found=(replace(ONE, sure=False),))
    server = replace(SERVER, pooled=pooled == "server")
    one = only(list(n_plus_one(log, server, PoolerDatabases(()) if pooled == "pooler" else None)))
    assert (one.kind, one.severity, one.confidence) == (Kind.RISK, Severity.LOW, Confidence.LOW)
    assert "application_name_add_host = 1" in one.fixes[0].commands
    assert "sqlcommenter" in one.fixes[1].title
    assert one.summary.startswith("Suspected: ")


def test_transactions_and_traces_are_sure_behind_a_pooler() -> None:
    """What belongs together is known."""
    assert only(found(replace(LOG, pooled=True))).kind is Kind.LIVE


def test_wide_gaps_are_suspected() -> None:
    """Grade low, and no pooler: only the comments are advised."""
    one = only(found(grade=1))
    assert (one.kind, "sqlcommenter" in one.fixes[0].title) == (Kind.RISK, True)


def test_small_suspicions_are_silent() -> None:
    """Ordinary traffic on a shared session looks like it now and then."""
    assert not found(grade=1, calls=49, seconds=0.49)
    assert found(grade=1, calls=50, seconds=0.49)
    assert found(grade=1, calls=49, seconds=0.5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"pattern": Pattern.WRITES}, "writes row by row"),
     ({"pattern": Pattern.TRANSACTIONS}, "commits 30 times"),
     ({"pattern": Pattern.DUPLICATE, "constant": True}, "asks the same thing"),
     ({"constant": True}, "with the same value"),
     ({"relation": Relation.COUNT}, "counts customer.id"),
     ({"parent_table": "", "parent": ""}, "in a loop"),
     ({"relation": Relation.UNKNOWN, "table": "", "batched": ""}, "asks SELECT * FROM customer")],
)  # fmt: skip
def test_each_pattern_has_its_words_and_fix(changes: dict[str, Any], words: str) -> None:
    """And every finding is complete."""
    assert words in only(found(**changes)).summary


def test_writes_that_the_driver_sends_together_are_no_loop() -> None:
    """psycopg's executemany pipelines them: less than 0.1 ms apart."""
    assert not found(pattern=Pattern.WRITES, waited=0.029, calls=300)
    assert only(found(pattern=Pattern.WRITES, waited=0.031)).severity is Severity.LOW


def test_values_and_code_are_told_where_known() -> None:
    """Examples only come where literals may be shown."""
    one = only(found(examples=("1", "2"), line="shop/views.py:7"))
    assert {e.fact: e.value for e in one.evidence}["line of code"] == "shop/views.py:7"
    assert {e.fact: e.value for e in one.evidence}["values, for example"] == "1; 2"


def processes(postgres: float, others: float) -> Window[Processes]:
    """Two readings of the processor time of PostgreSQL and of others."""
    used = (Process(5, "postgres", postgres, 0.0, own=False, ran=postgres),
            Process(6, "gunicorn", others, 0.0, own=False, ran=others))  # fmt: skip
    before = tuple(replace(p, cpu=0.0, ran=0.0) for p in used)
    return Window(((0.0, Processes(before)), (10.0, Processes(used))))


LOCAL = replace(SERVER, local=True)


def test_it_explains_its_share_of_the_processor() -> None:
    """Half of the used cores are PostgreSQL's, 40 % of whose time it takes."""
    log = replace(LOG, found=(replace(ONE, seconds=4.0),))
    (one,) = n_plus_one(log, LOCAL, None, processes(5.0, 5.0))
    assert one.explains == {"host.cpu": pytest.approx(0.2)}
    assert 0.0 < one.impact <= 1.0
    (one,) = n_plus_one(replace(log, live=False), LOCAL, None, processes(5.0, 5.0))
    assert not one.explains


def test_it_explains_the_pool_that_its_statements_keep() -> None:
    """Three of four busy servers run it, or wait within its transaction."""
    query = "SELECT *\n FROM customer WHERE id = $7"
    window = still(
        *(active(pid, query=query, database="shop", user="web") for pid in (1, 2)),
        open_idle(3, query=query, database="shop", user="web"),
        active(4, database="shop", user="web"),
        idle(5, database="shop", user="web", query=query),
    )
    log, pools = replace(LOG, found=(replace(ONE, seconds=0.0),)), backends(1, 2, 3, 4, 5)
    (one,) = n_plus_one(log, SERVER, databases(), None, pools, window)
    assert one.explains == {"pgbouncer.pool:shop/web": pytest.approx(0.75)}
    (one,) = n_plus_one(replace(log, live=False), SERVER, databases(), None, pools, window)
    assert not one.explains


LIST = "SELECT id, customer_id FROM orders WHERE status = $1"
CHILD = "SELECT * FROM customer WHERE id = $1"


def counts(
    child: tuple[int, int] = (1000, 1000),
    parent: tuple[int, int] = (50, 1000),
    *,
    look_up: str = CHILD,
    listing: str = LIST,
) -> Window[Statements]:
    """(calls, rows) of a look-up and of a list over ten seconds."""
    return statements(
        statement("1", child[0], 1.0, rows=child[1], query=look_up),
        statement("2", parent[0], 1.0, rows=parent[1], query=listing),
    )


def suspected(window: Window[Statements]) -> list[Finding]:
    """What counts alone say."""
    return list(n_plus_one_suspected(SERVER, still(), window))


def test_counts_that_fit_are_a_suspicion() -> None:
    """A risk of low confidence, with the setting that proves it and its way back."""
    one = only(suspected(counts()))
    assert (one.kind, one.severity, one.confidence) == (Kind.RISK, Severity.LOW, Confidence.LOW)
    assert one.subject == "customer(id) for each row of orders"
    assert one.fixes[0].commands[0] == "ALTER SYSTEM SET log_min_duration_statement = 0;"
    assert "RESET" in one.fixes[0].undo


@pytest.mark.parametrize(
    ("child", "parent", "fires"),
    [((1000, 1000), (200, 1000), True), ((1000, 1000), (201, 1000), False),
     ((100, 100), (20, 100), True), ((99, 99), (19, 99), False),
     ((1000, 1000), (4, 1000), False), ((1000, 1000), (5, 1000), True),
     ((1250, 1250), (50, 1000), True), ((1260, 1260), (50, 1000), False),
     ((750, 750), (50, 1000), True), ((740, 740), (50, 1000), False),
     ((1000, 1060), (50, 1000), False)],
)  # fmt: skip
def test_counts_at_their_edges(
    child: tuple[int, int], parent: tuple[int, int], fires: bool
) -> None:
    """Ratio, calls, lists, rows that fit, and one row per look-up."""
    assert bool(suspected(counts(child, parent))) is fires


@pytest.mark.parametrize(
    ("look_up", "listing", "fires"),
    [(CHILD, "SELECT o.* FROM orders o", True),
     (CHILD, "SELECT id, total FROM orders", False),
     (CHILD, "SELECT id FROM customer WHERE active", False),
     ("SELECT * FROM orders WHERE customer_id = $1", "SELECT id FROM customers", True),
     ("SELECT count(*) FROM shop_book WHERE author_id = $1", "SELECT id FROM shop_author", True),
     ("SELECT * FROM book WHERE author_id = $1", "SELECT id FROM shops", False),
     ("SELECT * FROM book WHERE author_id > $1", "SELECT id FROM author", False),
     ("UPDATE customer SET n = 1 WHERE id = $1", LIST, False),
     (CHILD, "SELECT count(*), customer_id FROM orders WHERE id = $1", True)],
)  # fmt: skip
def test_names_must_fit_too(look_up: str, listing: str, fires: bool) -> None:
    """Counts of ordinary traffic may fit by chance."""
    assert bool(suspected(counts(look_up=look_up, listing=listing))) is fires


def pgbench() -> Iterator[Statement]:
    """TPC-B: as many of each."""
    for number, (query, rows) in enumerate((
        ("UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2", 5000),
        ("SELECT abalance FROM pgbench_accounts WHERE aid = $1", 5000),
        ("UPDATE pgbench_tellers SET tbalance = tbalance + $1 WHERE tid = $2", 5000),
        ("INSERT INTO pgbench_history (tid, bid) VALUES ($1, $2)", 5000),
        ("select count(*) from pgbench_branches", 1),
    )):  # fmt: skip
        yield statement(str(number), rows, 1.0, rows=rows, query=query)


def test_pgbench_is_quiet() -> None:
    """And so is a shop with lists and look-ups of its own."""
    assert not suspected(statements(*pgbench()))
    shop = (statement("1", 9000, 1.0, rows=9000, query="SELECT * FROM product WHERE id = $1"),
            statement("2", 3000, 1.0, rows=60_000,
                      query="SELECT o.*, p.name FROM orders o JOIN product p ON p.id = o.product_id"
                      " WHERE o.customer_id = $1"))  # fmt: skip
    assert not suspected(statements(*shop))


@pytest.mark.parametrize(("running", "kind"), [(4, Kind.LIVE), (3, Kind.RISK)])
def test_a_full_machine_makes_it_live(running: int, kind: Kind) -> None:
    """Half of the statement time on cores that are full: it may be why."""

    def at(used: float) -> CpuTimes:
        return CpuTimes(used, 0.0, 0.0, 0.0, (used,), running, 0, None, None, None)

    cpu = Window(((0.0, at(0.0)), (10.0, at(20.0))))
    info = HostInfo(cores=2, memory=8 << 30, container=False)
    used = processes(9.0, 1.0)
    (one,) = n_plus_one_suspected(LOCAL, still(), counts(), None, used, cpu, info)
    assert (one.kind, bool(one.explains)) == (kind, kind is Kind.LIVE)


def test_a_log_tells_it_exactly() -> None:
    """No suspicion beside proof."""
    assert not list(n_plus_one_suspected(SERVER, still(), counts(), [LOG]))


def test_one_reading_shows_no_counts() -> None:
    """--window 0."""
    window = Window.of(Statements((), 0, None))
    with pytest.raises(Unavailable):
        list(n_plus_one_suspected(SERVER, still(), window))
