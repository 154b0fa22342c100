"""Full pools: whose fault, by what their servers do, and what size they need."""

from dataclasses import replace
from typing import Any

import pytest

from scaledoctor.sdk import Confidence, Finding, Severity, State, Use, Window
from scaledoctor.sources.host import CpuTimes, HostInfo, Pressure, Process, Processes
from scaledoctor.sources.pgbouncer import PoolerPools
from scaledoctor.sources.postgres import Activity
from scaledoctor_checks.pooling.held import held_in_transaction
from scaledoctor_checks.pooling.pool import pool as pool_resource
from scaledoctor_checks.pooling.too_small import pool_too_small
from scaledoctor_checks.postgres.statements import statement_share
from tests.checks.pg_facts import (
    SERVER,
    active,
    activity,
    only,
    open_idle,
    settings,
    statement,
    statements,
    waiting,
)
from tests.checks.pool_facts import (
    KEY,
    ask,
    backends,
    clients,
    config,
    databases,
    group,
    pool,
    sessions,
    stats,
    steady,
    user,
    uses,
)

SLEEPING: dict[str, Any] = {"wait_type": "Timeout", "wait_event": "PgSleep"}
INFO = HostInfo(cores=2, memory=8 * 2**30, container=False)


def small(window: Window[PoolerPools], **facts: Any) -> list[Finding]:
    """The pool is too small, or not."""
    return ask(pool_too_small, window, **facts)


def use_of(window: Window[PoolerPools], **facts: Any) -> Use:
    """The use of shop/web."""
    return uses(pool_resource, window, **facts)["shop/web"]


def saturated_cores() -> Window[CpuTimes]:
    """Two cores, busy all the time, with four tasks on them."""

    def at(seconds: float) -> CpuTimes:
        stalled = Pressure(seconds, 0.0)
        return CpuTimes(2 * seconds, 0, 0, 0, (seconds, seconds), 4, 0, stalled, None, None)

    return Window(((0.0, at(0.0)), (1.0, at(1.0))))


FULL = steady(pool(active=5, waiting=15, maxwait=1.2))
FIVE: dict[str, Any] = {
    "stats": stats(25), "config": config(), "databases": databases(5),
    "servers": backends(1, 2, 3, 4, 5), "activity": sessions(1, 2, 3, 4, 5, **SLEEPING),
    "settings": settings(100), "server": SERVER,
}  # fmt: skip
"""25 transactions in 1.5 s through 5 servers: 0.3 s each, while 15 clients wait 0.9 s."""


def test_littles_law_gives_the_size_and_its_arithmetic_is_shown() -> None:
    """5 busy at 16.7/s are 0.3 s of service; with 0.9 s of wait 20 are wanted."""
    found = only(small(FULL, **FIVE))
    assert found.subject == "shop/web"
    assert found.explains == {KEY: 1.0}
    assert found.impact == pytest.approx(15 / 20)
    assert found.confidence is Confidence.HIGH
    said = {e.fact: str(e.value) for e in found.evidence}
    assert said["size by Little's law"] == (
        "16.7 transactions/s x (0.300 s in a server + 0.900 s waiting) = 20.0, so 20"
    )
    assert said["no more than"] == (
        "100 slots of PostgreSQL - 6 taken - 10 kept free = 84 more: 89"
    )
    assert "default_pool_size" not in found.fixes[0].commands[2], "shop has a size of its own"
    assert found.fixes[0].commands[1:3] == (
        "[databases]",
        "shop = host=10.0.0.1 port=5432 dbname=shop pool_size=20",
    )
    assert found.fixes[0].commands[-1].endswith("RELOAD;")


def test_free_slots_cap_the_size() -> None:
    """30 slots, 6 taken, 3 kept: 16 more than 5 would be 26; with 12 slots there is no room."""
    roomy = only(small(FULL, **{**FIVE, "settings": settings(22)}))
    assert "it needs 18" in roomy.summary
    assert not small(FULL, **{**FIVE, "settings": settings(9)})


def cores_of_postgres(cores: float) -> Window[Processes]:
    """PostgreSQL's processes used so many cores for a second and a half."""
    zero = Process(pid=9, label="postgres", cpu=0.0, waited=None, own=False)
    last = Processes((replace(zero, cpu=1.5 * cores),))
    return Window(((0.0, Processes((zero,))), (1.5, last)))


@pytest.mark.parametrize(("cores", "size"), [(0.04, 20), (0.6, 15), (0.9, 10), (1.8, 5), (0.5, 18)])
def test_cores_cap_the_size_by_what_each_busy_server_takes(cores: float, size: int) -> None:
    """1.8 of 2 cores over each; never below 2 x 2 + 1; on another machine nothing is known."""
    here = {**FIVE, "info": INFO, "processes": cores_of_postgres(cores),
            "server": replace(SERVER, local=True)}  # fmt: skip
    found = small(FULL, **here)
    assert [f"needs {size}" in f.summary for f in found] == [True] * (size > 5)
    assert "needs 20" in only(small(FULL, **{**here, "server": SERVER})).summary


@pytest.mark.parametrize(
    ("busy", "queue", "transactions", "fires"),
    [
        (5, 15, 25, True),
        (5, 0, 25, False),
        (5, 1, 6, False),  # a sixth of the time: below a fifth
        (4, 1, 6, False),  # a fifth, but the pool is not full
        (5, 2, 6, True),
        (5, 5, 151, False),  # 49.7 ms each: short waits are normal
        (5, 5, 149, True),
    ],
)
def test_a_queue_is_one_client_for_a_fifth_of_the_time_and_50_ms(
    busy: int, queue: int, transactions: int, fires: bool
) -> None:
    """Each threshold at its edge; the pool must be full, nine tenths of it."""
    window = steady(pool(active=busy, waiting=queue))
    facts = {**FIVE, "stats": stats(transactions)}
    assert bool(small(window, **facts)) is fires


def test_a_mean_below_one_waiting_client_is_no_queue() -> None:
    """Three samples of four with one, and half of the time waiting in those."""
    some = [pool(active=1, waiting=1)] * 3 + [pool(active=1)]
    window = Window.of(*(steady(p, samples=1).last for p in some))
    assert not small(window, **{**FIVE, "databases": databases(1), "stats": stats(1)})


@pytest.mark.parametrize(
    ("longest", "severity"),
    [(4.9, Severity.HIGH), (60.0, Severity.CRITICAL), (59.0, Severity.HIGH)],
)
def test_severity_follows_the_longest_wait(longest: float, severity: Severity) -> None:
    """Half of query_wait_timeout is critical; as many waiting as servers is high."""
    window = steady(pool(active=5, waiting=15, maxwait=longest))
    assert only(small(window, **FIVE)).severity is severity
    few = steady(pool(active=5, waiting=4, maxwait=longest))
    wanted = Severity.MEDIUM if longest < 30 else severity
    assert only(small(few, **FIVE)).severity is wanted


def test_without_postgres_the_size_is_a_guess_and_says_so() -> None:
    """No --dsn: low confidence, and the way to know more is a fix of its own."""
    found = only(small(FULL, stats=stats(25), config=config(), databases=databases(5)))
    assert found.confidence is Confidence.LOW
    assert "PostgreSQL was not looked at" in found.summary
    assert "--dsn" in found.fixes[1].commands[0]
    computing = only(small(FULL, **{**FIVE, "activity": sessions(1, 2, 3, 4, 5)}))
    assert computing.confidence is Confidence.LOW, "whether its cores are free is not known"


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"databases": databases(20), "config": config()}, "default_pool_size = 40"),
        ({"users": user(size=20), "config": config((1, 23, 0))}, "web = pool_size=40"),
        ({"databases": databases(20, forced="web"), "config": config(default_pool_size=10)},
         "; into the line of shop: pool_size=40"),
    ],
)  # fmt: skip
def test_the_setting_that_rules_the_pool_is_the_one_to_change(
    changes: dict[str, Any], setting: str
) -> None:
    """User before database before default; no line is printed that would lose a password."""
    window = steady(pool(active=20, waiting=20))
    pids = tuple(range(1, 21))
    facts = {**FIVE, "databases": databases(5), "servers": backends(*pids),
             "activity": sessions(*pids, **SLEEPING), **changes}  # fmt: skip
    assert setting in only(small(window, **facts)).fixes[0].commands


@pytest.mark.parametrize(
    ("changes", "block"),
    [
        ({"databases": databases(20, cap=5)},
         ("[databases]",
          "shop = host=10.0.0.1 port=5432 dbname=shop max_db_connections=20")),
        ({"databases": databases(20, cap=5), "config": config(max_db_connections=5)},
         ("max_db_connections = 20",)),
        ({"databases": databases(20), "config": config(max_user_connections=5)},
         ("max_user_connections = 20",)),
        ({"databases": databases(20), "users": user(cap=5)},
         ("[users]", "web = max_user_connections=20")),
    ],
    ids=["database", "every database", "every user", "user"],
)  # fmt: skip
def test_a_cap_that_nobody_else_draws_on_is_a_size(
    changes: dict[str, Any], block: tuple[str, ...]
) -> None:
    """max_db_connections or max_user_connections, its own or the global one."""
    found = only(small(FULL, **{**FIVE, **changes}))
    assert found.fixes[0].commands[1:-1] == block
    assert found.fixes[0].undo.endswith("5, then RELOAD;")


def test_servers_behind_a_lock_are_a_symptom() -> None:
    """4 of 5 wait for the same row: the pool waits for the locks, and nothing else is said."""
    blocked = Window.of(*[activity(active(1, **SLEEPING), *(waiting(p, 99) for p in (2, 3, 4, 5)),
                                   open_idle(99))] * 4)  # fmt: skip
    facts = {**FIVE, "activity": blocked}
    assert not small(FULL, **facts)
    assert not ask(held_in_transaction, FULL, **facts)
    use = use_of(FULL, **facts)
    assert use.waits_for == {"postgres.locks": 0.8}
    assert use.state is State.SATURATED


def test_half_of_the_servers_behind_a_lock_is_the_edge() -> None:
    """2 of 5 blocked: still a matter of size; 3 of 5: of the lock."""
    for stuck, fires in ((2, True), (3, False)):
        rest = [active(p, **SLEEPING) for p in range(1, 6 - stuck)]
        behind = [waiting(p, 99) for p in range(6 - stuck, 6)]
        window = Window.of(*[activity(*rest, *behind, open_idle(99))] * 4)
        assert bool(small(FULL, **{**FIVE, "activity": window})) is fires


def test_one_wasteful_statement_explains_the_pool() -> None:
    """It takes 2 s a call and all five servers: the statement is the root, not the size."""
    busy = sessions(1, 2, 3, 4, 5, query_id="7", query="SELECT slow", **SLEEPING)
    slow = statements(statement("7", 4, 8.0, query="SELECT slow"), seconds=1.5)
    assert not small(FULL, **{**FIVE, "activity": busy, "statements": slow})
    found = only(
        list(
            statement_share(
                SERVER,
                busy,
                slow,
                None,
                None,
                None,
                None,
                FIVE["servers"],
                FIVE["databases"],
                None,
                FULL,
            )
        )
    )
    assert found.explains == {KEY: 1.0}
    quick = statements(statement("7", 80, 8.0, query="SELECT slow"), seconds=1.5)
    assert small(FULL, **{**FIVE, "activity": busy, "statements": quick})


@pytest.mark.parametrize(("queued", "fires"), [(1, True), (0, False)])
def test_sleepers_count_where_clients_wait_for_their_pool(queued: int, fires: bool) -> None:
    """Five servers asleep on purpose: nobody's loss as long as nobody wants one."""
    found = statement_share(
        SERVER, FIVE["activity"], None, None, None, None, None,
        FIVE["servers"], FIVE["databases"], None, steady(pool(active=5, waiting=queued)),
    )  # fmt: skip
    assert bool(list(found)) is fires


def test_the_statement_that_fills_the_pool_is_shown_and_can_have_a_pool_apart() -> None:
    """4 of 5 servers run the export; web shares the pool with it."""
    slow = [active(p, application="export", query="SELECT slow", **SLEEPING) for p in (1, 2, 3, 4)]
    busy = Window.of(*[activity(*slow, active(5, query="SELECT 1", **SLEEPING))] * 4)
    shared = clients(group("export", running=4), group("web", waiting=15))
    found = only(small(FULL, **{**FIVE, "activity": busy, "clients": shared}))
    assert (found.evidence[-1].fact, found.evidence[-1].value) == (
        "80% of its busy servers run, for export",
        "SELECT slow",
    )
    assert found.fixes[1].commands[1:4] == (
        "[databases]",
        "shop_export = host=10.0.0.1 port=5432 dbname=shop pool_size=4",
        "; and in export: dbname=shop_export",
    )
    alone = clients(group("export", running=5, waiting=15))
    assert len(only(small(FULL, **{**FIVE, "activity": busy, "clients": alone})).fixes) == 1
    mixed = [active(p, query=f"SELECT {p}", **SLEEPING) for p in range(1, 6)]
    several = Window.of(*[activity(*mixed)] * 4)
    quiet = only(small(FULL, **{**FIVE, "activity": several, "clients": shared}))
    assert not any("busy servers run" in e.fact for e in quiet.evidence)


def test_full_cores_are_no_matter_of_size() -> None:
    """The servers compute, on this machine, and tasks queue for its cores."""
    here = {**FIVE, "activity": sessions(1, 2, 3, 4, 5), "info": INFO, "cpu": saturated_cores(),
            "server": replace(SERVER, local=True)}  # fmt: skip
    assert not small(FULL, **here)
    assert use_of(FULL, **here).waits_for["host.cpu"] == 1.0
    asleep = {**here, "activity": FIVE["activity"]}
    assert small(FULL, **asleep), "somebody else's load: these servers do not want the cores"
    assert use_of(FULL, **asleep).waits_for == {}
    assert use_of(FULL, **FIVE).waits_for == {}


def test_another_servers_backend_of_the_same_pid_is_not_ours() -> None:
    """Pid, database and user must be the pool's."""
    stranger = Window.of(*[activity(waiting(1, 2, database="other"), active(2))] * 4)
    use = use_of(FULL, **{**FIVE, "activity": stranger, "servers": backends(1)})
    assert use.waits_for == {}


def test_a_role_that_sees_nothing_proves_nothing() -> None:
    """Hidden states are as good as no --dsn."""
    hidden = Window.of(*[Activity((active(1),), hidden=1, own=1)] * 4)
    assert only(small(FULL, **{**FIVE, "activity": hidden})).confidence is Confidence.LOW


def test_a_full_pool_without_a_queue_is_busy_not_saturated() -> None:
    """Nobody waits: well used. One in ten free is the edge of full, a fifth of busy."""
    facts = {"databases": databases(10), "config": config(), "stats": stats(100)}
    for busy, queue, state in (
        (7, 0, State.OK), (8, 0, State.BUSY), (10, 0, State.BUSY), (9, 9, State.SATURATED),
        (8, 9, State.BUSY),
    ):  # fmt: skip
        window = steady(pool(active=busy, waiting=queue))
        assert use_of(window, **facts).state is state, (busy, queue)


@pytest.mark.parametrize(
    ("facts", "limit", "busy"),
    [
        ({"databases": databases(10)}, 10, 4),
        ({"config": config(default_pool_size=7)}, 7, 4),
        ({"databases": databases(10), "users": user(size=6)}, 6, 4),
        ({"databases": databases(10, reserve=5)}, 10, 4),
        ({"databases": databases(10, reserve=5)}, 12, 12),
        ({"databases": databases(10, reserve=5)}, 15, 15),
        ({"databases": databases(10, cap=8)}, 8, 4),
        ({"databases": databases(10), "config": config(max_user_connections=3)}, 3, 3),
        ({"databases": databases(10), "users": user(cap=5),
          "config": config(max_user_connections=3)}, 5, 3),
    ],
)  # fmt: skip
def test_the_effective_size(facts: dict[str, Any], limit: int, busy: int) -> None:
    """User, database, default; the reserve as far as it is used; the tighter of the caps."""
    use = use_of(steady(pool(active=busy)), **{"config": config(), **facts})
    assert use.limit == limit
    assert use.used == busy


def test_a_size_that_may_be_the_user_befores_counts_only_where_it_fits() -> None:
    """SHOW USERS of 1.23 to 1.25 repeats the last size for users who have none."""
    doubtful = user(size=5, doubtful=True)
    facts = {"config": config(), "users": doubtful, "databases": databases(20)}
    assert use_of(steady(pool(active=4)), **facts).limit == 5
    assert use_of(steady(pool(active=6)), **facts).limit == 20


def test_no_limit_is_unknown_use() -> None:
    """pool_size = 0 means unlimited from 1.24 on."""
    use = use_of(steady(pool(active=6)), config=config(), databases=databases(0))
    assert use.limit is None
    assert use.state is State.UNKNOWN


def test_one_shot_has_no_rate_and_still_sees_a_queue() -> None:
    """--window 0: the oldest wait stands for the mean."""
    window = steady(pool(active=5, waiting=15, maxwait=1.2), samples=1)
    found = only(small(window, databases=databases(5), config=config()))
    assert "5.0 busy + 15.0 waiting = 20" in str(found.evidence[4].value)
    brief = steady(pool(active=5, waiting=15, maxwait=0.04), samples=1)
    assert not small(brief, databases=databases(5), config=config())
