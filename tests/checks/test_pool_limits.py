"""Client limit, over-commit, settings of a running PgBouncer, and applications' own pools."""

from dataclasses import replace
from typing import Any

import pytest

from scaledoctor.sdk import Confidence, Finding, Kind, Reach, Severity, State, Window
from scaledoctor.sources.host import Process, Processes
from scaledoctor.sources.pgbouncer import PoolerDatabases, PoolerLists, PoolerProcess
from scaledoctor.sources.pgbouncer_ini import PoolerIni
from scaledoctor_checks.pooling.applications import application_pool_large, application_pool_single
from scaledoctor_checks.pooling.clients import client_limit
from scaledoctor_checks.pooling.clients import clients as clients_resource
from scaledoctor_checks.pooling.cpu import cpu, one_core
from scaledoctor_checks.pooling.over_commit import over_commit
from scaledoctor_checks.pooling.settings import (
    file_descriptors,
    prepared_statements,
    wait_timeout,
)
from tests.checks.pg_facts import SERVER, active, activity, idle, only, settings
from tests.checks.pool_facts import (
    ask,
    backends,
    clients,
    config,
    database,
    databases,
    entry,
    group,
    lists,
    log,
    pool,
    stats,
    steady,
    user,
)

PROCESS = PoolerProcess(pid=77, instances=1, files=1024, open=50)
REFUSED = entry("refused", "no more connections allowed (max_client_conn)", 9, database="")


@pytest.mark.parametrize(
    ("used", "state", "kind", "severity"),
    [
        (79, State.OK, None, None),
        (80, State.BUSY, Kind.RISK, Severity.MEDIUM),
        (95, State.BUSY, Kind.RISK, Severity.HIGH),
        (99, State.BUSY, Kind.RISK, Severity.HIGH),
        (100, State.SATURATED, Kind.LIVE, Severity.CRITICAL),
    ],
)
def test_clients_against_max_client_conn(
    used: int, state: State, kind: Kind | None, severity: Severity | None
) -> None:
    """Ours is not counted; at the limit itself the next one is refused."""
    use = clients_resource(lists(used), config(), None, None)
    assert (use.used, use.limit, use.state) == (used, 100.0, state)
    found = ask(client_limit, lists(used), config())
    assert [(f.kind, f.severity) for f in found] == ([(kind, severity)] if kind else [])


def test_refusals_in_the_log_are_counted_below_the_limit_too() -> None:
    """They came and went between two samples."""
    use = clients_resource(lists(50), config(), None, log(REFUSED))
    assert (use.errors, use.state) == (9.0, State.SATURATED)
    found = only(ask(client_limit, lists(50), config(), log=log(REFUSED)))
    assert "9 clients refused in the window" in found.summary
    assert (found.kind, found.confidence) == (Kind.LIVE, Confidence.HIGH)


def test_the_application_with_half_of_the_clients_is_named_with_a_smaller_pool() -> None:
    """80 of web on two machines, 4 in use: 4 x 1.25 / 2 + 1 = 4 for each instance."""
    second = group(address="10.0.0.8", idle=38, running=2)
    seen = clients(group(idle=38, running=2), second, group("api", idle=20))
    found = only(ask(client_limit, lists(100), config(), groups=seen, process=PROCESS))
    assert found.subject == "web"
    assert "80 of them by web by its 2 instances, of which 4 had or wanted" in found.summary
    assert "max_pool_size = 4" in found.fixes[0].commands
    assert found.fixes[1].commands[1:3] == (
        "; first: systemctl edit pgbouncer: [Service] LimitNOFILE=1200, restart",
        "max_client_conn = 200",
    )
    busy = only(ask(client_limit, lists(103), config(), groups=seen, log=log(REFUSED)))
    assert "max_client_conn = 200" in busy.fixes[0].commands, "whoever is refused comes first"
    assert "max_pool_size = 4" in busy.fixes[1].commands
    assert busy.summary.startswith("100 of 100 client connections")
    several = clients(*(group(f"app{i}", idle=25) for i in range(4)))
    found = only(ask(client_limit, lists(100), config(), groups=several))
    assert found.subject == "max_client_conn"


def test_clients_that_queue_for_a_pool_are_its_symptom() -> None:
    """60 of 100 clients wait for a server of shop/web."""
    queue = steady(pool(active=5, waiting=60))
    found = only(ask(client_limit, lists(100), config(), pools=queue))
    assert found.waits_for == {"pgbouncer.pool:shop/web": 0.6}
    use = clients_resource(lists(100), config(), queue, None)
    assert use.waits_for == {"pgbouncer.pool:shop/web": 0.6}


def commit(*pools: Any, slots: int, found: PoolerDatabases, **facts: Any) -> list[Finding]:
    """Over-commit with that many usable slots and one direct session, ours."""
    now = {"activity": Window.of(activity(), activity()), "server": SERVER, "servers": backends()}
    return ask(over_commit, steady(*pools), config(), found, settings=settings(slots),
               **{**now, **facts})  # fmt: skip


TWO = (pool(), pool(user="api"))


@pytest.mark.parametrize(("slots", "fires"), [(41, False), (40, True)])
def test_pools_that_exist_times_their_size_against_the_slots(slots: int, fires: bool) -> None:
    """Two users of shop with 20 each, and our own session: 41."""
    assert bool(commit(*TWO, slots=slots, found=databases(20))) is fires


@pytest.mark.parametrize(
    ("found", "facts", "most"),
    [
        (databases(20, reserve=5), {}, 50),
        (databases(20, cap=30), {}, 30),
        (databases(20), {"users": user("web", cap=7)}, 27),
        (databases(20), {"process": replace(PROCESS, instances=2)}, 80),
    ],
    ids=["reserve", "database cap", "user cap", "two processes"],
)
def test_what_the_pools_may_open(found: PoolerDatabases, facts: dict[str, Any], most: int) -> None:
    """One slot less than that and ours is over-commit; just as many is not."""
    assert not commit(*TWO, slots=most + 1, found=found, **facts)
    one = only(commit(*TWO, slots=most, found=found, **facts))
    assert one.evidence[0].value == most
    assert one.kind is Kind.RISK


def test_over_commit_is_high_once_most_slots_are_taken_and_caps_each_database() -> None:
    """7 of 10 is the edge; the caps add up to what is there."""
    both = PoolerDatabases((database(size=20), database("big", size=20)))
    pools = (pool(), pool(database="big"))
    for taken, severity in ((6, Severity.HIGH), (5, Severity.MEDIUM)):
        now = Window.of(activity(*(active(i) for i in range(taken))))
        found = only(commit(*pools, slots=10, found=both, activity=now,
                            servers=backends(*range(taken))))  # fmt: skip
        assert found.severity is severity
    caps = [line for line in found.fixes[0].commands if "max_db_connections" in line]
    assert caps == [
        "big = host=10.0.0.1 port=5432 dbname=big max_db_connections=4",
        "shop = host=10.0.0.1 port=5432 dbname=shop max_db_connections=4",
    ]


def test_databases_of_another_server_do_not_count() -> None:
    """Two servers behind one PgBouncer: told apart by port."""
    both = PoolerDatabases((database(size=20), database("far", size=90, port=6000)))
    assert not commit(pool(), pool(database="far"), slots=50, found=both)


@pytest.mark.parametrize(
    ("version", "value", "mode", "fires"),
    [
        ((1, 20, 1), None, "transaction", True),
        ((1, 21, 0), 0, "transaction", True),
        ((1, 21, 0), 200, "transaction", False),
        ((1, 20, 1), None, "session", False),
        ((1, 20, 1), None, "statement", True),
    ],
)
def test_prepared_statements(
    version: tuple[int, int, int], value: int | None, mode: str, fires: bool
) -> None:
    """Followed from 1.21 on, if the setting says so; in session mode they need no help."""
    values = {} if value is None else {"max_prepared_statements": value}
    found = ask(prepared_statements, config(version, **values), steady(pool(mode=mode)))
    assert bool(found) is fires
    if found:
        assert only(found).severity is Severity.LOW
        able = version >= (1, 21, 0)
        assert ("max_prepared_statements = 200" in found[0].fixes[0].commands) is able


def test_lost_prepared_statements_in_the_log_make_it_worse() -> None:
    """Then it happens now."""
    lost = log(entry("prepared", "prepared statement did not exist"))
    assert only(
        ask(prepared_statements, config(), steady(pool()), log=lost)
    ).severity is Severity.MEDIUM  # fmt: skip


@pytest.mark.parametrize(("timeout", "fires"), [(59, False), (60, True), (120, True), (0, True)])
def test_wait_timeout_against_a_proxys_minute(timeout: int, fires: bool) -> None:
    """0 is for ever; with the file at hand the file's own check tells the line."""
    conf = config(query_wait_timeout=timeout)
    assert bool(ask(wait_timeout, conf)) is fires
    assert not ask(wait_timeout, conf, ini=PoolerIni("pgbouncer.ini", ()))
    if fires:
        assert (
            only(ask(wait_timeout, conf))
            .fixes[0]
            .undo.startswith(f"query_wait_timeout = {timeout}")
        )


@pytest.mark.parametrize(("files", "fires"), [(170, False), (169, True)])
def test_open_files_by_pgbouncers_own_sum(files: int, fires: bool) -> None:
    """100 + 10 + 20 x 3 users; a forced user's database counts once; no limit is none."""
    many = PoolerLists(1, 0, 0, 3, 1)
    limited = replace(PROCESS, files=files)
    assert bool(ask(file_descriptors, config(), databases(20), many, limited)) is fires
    assert not ask(file_descriptors, config(), databases(20, forced="web"), many,
                   replace(PROCESS, files=130))  # fmt: skip
    assert not ask(file_descriptors, config(), databases(20), many, replace(PROCESS, files=None))
    if fires:
        found = only(ask(file_descriptors, config(), databases(20), many, limited))
        assert found.severity is Severity.MEDIUM
        near = replace(limited, open=140)
        assert only(
            ask(file_descriptors, config(), databases(20), many, near)
        ).severity is Severity.HIGH  # fmt: skip


@pytest.mark.parametrize(
    ("idle_ones", "running", "limit", "fires"),
    [(24, 1, 100, True), (23, 1, 100, False), (20, 5, 100, True), (19, 6, 100, False),
     (24, 1, 104, False), (15, 1, 20, False)],
)  # fmt: skip
def test_an_application_that_idles_four_fifths_of_a_quarter_of_the_limit(
    idle_ones: int, running: int, limit: int, fires: bool
) -> None:
    """25 of 100 clients, and never fewer than 20; at most a fifth busy at any reading."""
    seen = clients(group(idle=idle_ones, running=running))
    found = ask(application_pool_large, seen, config(max_client_conn=limit))
    assert bool(found) is fires
    if found:
        assert only(found).kind is Kind.RISK


def single(**facts: Any) -> list[Finding]:
    """An application with one connection, always in a short transaction."""
    usual = {
        "stats": stats(60), "config": config(), "databases": databases(20), "server": SERVER,
        "activity": Window.of(*[activity(active(1))] * 4),
    }  # fmt: skip
    given = {"clients": clients(group(running=1)), "window": steady(pool(active=1)), **facts}
    rest = {k: v for k, v in {**usual, **given}.items() if k not in ("clients", "window")}
    return ask(application_pool_single, given["clients"], given["window"], **rest)


def test_an_application_with_one_connection_queues_inside() -> None:
    """Always busy, in short transactions, while all others have room: with low confidence."""
    found = only(single())
    assert (found.subject, found.kind, found.confidence) == ("web", Kind.LIVE, Confidence.LOW)


@pytest.mark.parametrize(
    "facts",
    [
        {"clients": clients(group(running=2))},
        {"clients": clients(group(idle=1))},
        {"activity": Window.of(*[activity(active(1))] * 3, *[activity(idle(1))] * 1)},
        {"activity": Window.of(*[activity(active(1, transaction_age=1.0))] * 4)},
        {"window": steady(pool(active=10))},
        {"window": steady(pool(active=1, waiting=3))},
    ],
    ids=["two", "idle", "three quarters busy", "one long transaction", "half of the pool", "queue"],
)
def test_one_connection_is_no_finding_without_all_the_signs(facts: dict[str, Any]) -> None:
    """Each taken away, at its edge."""
    assert not single(**facts)


def pgbouncer_process(cores: float, serves: tuple[int, ...] | None = (6432,)) -> Window[Processes]:
    """A PgBouncer that used so many cores in a window of ten seconds."""
    before = Process(pid=5, label="pgbouncer", cpu=100.0, waited=0.0, own=False, serves=serves)
    other = Process(pid=6, label="python", cpu=0.0, waited=0.0, own=False)
    first = Processes((before, other))
    last = Processes((replace(before, cpu=100.0 + 10 * cores), replace(other, cpu=10.0)))
    return Window(((0.0, first), (10.0, last)))


HERE = Reach(ok=True, seconds=0.01, local_port=6432)


@pytest.mark.parametrize(
    ("cores", "state", "fires"),
    [(0.79, None, False), (0.8, State.BUSY, False), (0.95, State.SATURATED, True)],
)
def test_one_core_is_all_that_a_process_can_have(
    cores: float, state: State | None, fires: bool
) -> None:
    """Told from 0.8 of a core on; a finding from 0.95."""
    use = cpu(HERE, pgbouncer_process(cores))
    assert (use.state if use else None) is state
    found = ask(one_core, HERE, pgbouncer_process(cores), config((1, 19, 0)))
    assert bool(found) is fires
    if found:
        assert only(found).explains == {"pgbouncer.cpu": 1.0}
        assert "so_reuseport = 1" in found[0].fixes[0].commands
        assert "[peers]" in found[0].fixes[1].commands


@pytest.mark.parametrize(
    ("reach", "window"),
    [
        (replace(HERE, local_port=None), pgbouncer_process(1.0)),
        (HERE, pgbouncer_process(1.0, serves=(6433,))),
        (HERE, None),
    ],
    ids=["elsewhere", "another one", "no host facts"],
)
def test_another_pgbouncers_core_is_not_this_ones(reach: Reach, window: Any) -> None:
    """By the port that it listens on; one whose descriptors are hidden counts by its name."""
    assert cpu(reach, window) is None
    assert not ask(one_core, reach, window)
    hidden = cpu(HERE, pgbouncer_process(1.0, serves=None))
    assert hidden is not None
