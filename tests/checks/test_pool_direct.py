"""Pool arithmetic without a pooler, and the pgbouncer.ini that comes of it."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from scaledoctor.demo.servers import PostgresServer, postgres
from scaledoctor.demo.servers.child import accepts, child, free_port, program
from scaledoctor.demo.servers.workspace import give, unprivileged, workspace
from scaledoctor.sdk import Finding, Fix, Kind, Severity, Window
from scaledoctor.sources.host import Process, Processes
from scaledoctor.sources.postgres import Activity, Session
from scaledoctor_checks.pooling._new_ini import Demand, demands, pooler_fixes
from scaledoctor_checks.pooling.direct import no_pooler
from scaledoctor_checks.postgres.churn import connection_churn
from scaledoctor_checks.postgres.connections import connection_hog
from tests.checks.pg_facts import SERVER, active, activity, counters, idle, only, settings
from tests.checks.pool_facts import ask, config
from tests.checks.pool_live import scan_postgres
from tests.checks.test_pg_connections import OPEN, newcomers
from tests.servers import needs_servers, postgres_binaries

BESIDE = Processes((Process(7, "pgbouncer", 0.0, 0.0, False),))


def crowd(count: int, busy: int, **fields: Any) -> list[Session]:
    """Sessions of one application, so many of them in a transaction."""
    make = [active] * busy + [idle] * (count - busy)
    first = int(fields.pop("pid", 1000))
    return [one(first + i, **fields) for i, one in enumerate(make)]


def fleet(count: int, busy: int = 0, of: int = 4) -> Window[Activity]:
    """So many sessions of ``of`` applications on as many machines."""
    sessions: list[Session] = []
    for n in range(of):
        mine = count // of + (n < count % of)
        working = busy // of + (n < busy % of)
        place = {"application": f"app{n}", "client": f"10.0.0.{n}", "pid": 1000 * (n + 1)}
        sessions += crowd(mine, working, **place)
    return Window.of(*[activity(*sessions, own=0)] * 4)


def direct(window: Window[Activity], slots: int = 100, **facts: Any) -> list[Finding]:
    """The check on these facts."""
    return ask(no_pooler, SERVER, window, settings(slots), **facts)


@pytest.mark.parametrize(
    ("sessions", "busy", "kind", "severity"),
    [
        (49, 0, None, None),
        (50, 0, Kind.RISK, Severity.LOW),
        (51, 0, Kind.RISK, Severity.MEDIUM),
        (75, 0, Kind.LIVE, Severity.HIGH),
        (95, 0, Kind.LIVE, Severity.CRITICAL),
        (60, 18, Kind.RISK, Severity.MEDIUM),
        (60, 19, None, None),
    ],
)
def test_many_idle_sessions_of_several_instances(
    sessions: int, busy: int, kind: Kind | None, severity: Severity | None
) -> None:
    """From half of the slots a risk, from three quarters live; seven tenths idle."""
    found = direct(fleet(sessions, busy))
    assert [(f.kind, f.severity) for f in found] == ([(kind, severity)] if kind else [])


def test_what_is_said_of_it() -> None:
    """Who holds them; different applications are not instances of one."""
    found = only(direct(fleet(80, 8)))
    assert found.summary == (
        "4 applications (app0 20, app1 20, app2 20, app3 20) hold 80 of 100 slots, 90% of them "
        "idle and at most 8 busy at once; no pooler is in between"
    )
    assert found.explains == {"postgres.connections": pytest.approx(0.9)}
    assert found.impact == pytest.approx(0.6 * 0.9)


def test_instances_of_one_application_are_called_so() -> None:
    """One name on three machines; below three quarters, where nobody is a hog."""
    sessions = (replace(s, client=f"10.0.0.{i % 3}") for i, s in enumerate(crowd(60, 0)))
    found = only(direct(Window.of(*[activity(*sessions, own=0)] * 4)))
    assert found.summary.startswith("3 instances of web hold 60 of 100 slots")


@pytest.mark.parametrize(("sessions", "frees"), [(94, False), (95, True)])
def test_the_first_fix_frees_slots_when_the_last_ones_go(sessions: int, frees: bool) -> None:
    """Those idle for the whole window, whoever holds them."""
    found = only(direct(fleet(sessions, 8)))
    assert found.fixes[0].title.startswith("Free 87 idle connections now") is frees
    young = fleet(95)
    young = Window.of(
        *(activity(*(replace(s, state_age=0.9) for s in a.sessions), own=0) for a in young)
    )
    assert "[pgbouncer]" in only(direct(young)).fixes[0].commands


def test_a_pooler_beside_does_not_hide_that_the_last_slots_go() -> None:
    """It may be another service's; no second one is advised."""
    found = only(direct(fleet(95), processes=BESIDE))
    assert "no pooler" not in found.summary
    assert [fix.title[:24] for fix in found.fixes] == ["Free 95 idle connections"]


@pytest.mark.parametrize(
    "facts",
    [
        {"pooler": config()},
        {"processes": BESIDE},
        {"processes": BESIDE, "window": fleet(94)},
        {"window": fleet(60, of=1)},
        {"window": fleet(80, of=2), "slots": 100},
    ],
    ids=["a target", "a process", "nearly full beside it", "one instance", "a hog"],
)
def test_silence(facts: dict[str, Any]) -> None:
    """A pooler is there, or another check names who it is."""
    assert not direct(facts.pop("window", fleet(60)), **facts)
    pooled = replace(SERVER, pooled=True)
    assert not list(no_pooler(pooled, fleet(60), settings(100), None, None))


def test_a_hog_below_three_quarters_is_nobodys_finding_but_this_one() -> None:
    """Two applications with a half each: from 75 % on postgres.connection-hog names one."""
    assert direct(fleet(74, of=2))
    assert not direct(fleet(76, of=2))
    assert list(connection_hog(SERVER, fleet(76, of=2), settings(100)))


def test_demand_is_the_most_seen_at_once_by_database_and_user() -> None:
    """8 busy: 8 x 1.25 + 1 = 11; nobody busy: five."""
    calm = activity(*crowd(20, 3), *crowd(4, 0, pid=2000, user="api", client="10.0.0.9"))
    rush = activity(*crowd(18, 8))
    assert demands(Window.of(calm, rush)) == [
        Demand("shop", "web", sessions=20, busy=8, addresses=1),
        Demand("shop", "api", sessions=4, busy=0, addresses=1),
    ]
    assert [d.size for d in demands(Window.of(calm, rush))] == [11, 5]


def lines(fix: Fix) -> list[str]:
    """The file without its comments."""
    return [line for line in fix.commands if not line.startswith(";")]


def test_the_file_has_a_line_for_each_database_with_its_arithmetic() -> None:
    """The largest pool of its users, a cap for all of them, cut where they do not fit."""
    window = Window.of(
        activity(*crowd(40, 8), *crowd(30, 4, pid=2000, user="api"),
                 *crowd(20, 0, pid=3000, database="big"))
    )  # fmt: skip
    file, start = pooler_fixes(SERVER, settings(100), window)
    assert lines(file)[1:3] == [
        "shop = host=127.0.0.1 port=5432 dbname=shop pool_size=11 max_db_connections=17",
        "big = host=127.0.0.1 port=5432 dbname=big pool_size=5 max_db_connections=5",
    ]
    assert "; shop/web: 40 sessions, at most 8 busy: 8 x 1.25 + 1, at least 5: 11" in file.commands
    assert "; 100 usable slots - 10 kept free = 90 for pools; needed: 22" in file.commands
    assert "max_client_conn = 200" in file.commands
    assert "listen_addr = *" in file.commands
    tight = lines(pooler_fixes(SERVER, settings(14), window)[0])
    assert tight[1].endswith("pool_size=5 max_db_connections=8"), "11 of 22 is what fits"
    assert "IN ('postgres', 'watcher', 'web', 'api')" in start.commands[2]


def test_a_name_that_cannot_be_written_is_served_by_the_star() -> None:
    """No version before 1.25 takes quotes around the name of an entry."""
    window = Window.of(activity(*crowd(4, 0, database="my shop"), *crowd(4, 0, pid=9)))
    found = lines(pooler_fixes(SERVER, settings(100), window)[0])
    assert found[1:3] == [
        "shop = host=127.0.0.1 port=5432 dbname=shop pool_size=5 max_db_connections=5",
        "* = host=127.0.0.1 port=5432",
    ]


def test_hogs_and_churn_get_the_file_where_it_helps() -> None:
    """Several instances without a pooler; never for a leak, nor behind a pooler."""
    hog = [replace(s, client=f"10.0.0.{i % 3}") for i, s in enumerate(crowd(80, 8))]
    used = [active(s.pid, client=s.client) for s in hog]
    window = Window.of(activity(*used), activity(*hog))
    assert _has_file(connection_hog(SERVER, window, settings(100)))
    assert not _has_file(connection_hog(SERVER, window, settings(100), config()))
    alone = Window.of(activity(*(replace(s, client="10.0.0.1") for s in used)), activity(*hog))
    alone = Window.of(*(activity(*(replace(s, client="") for s in a.sessions)) for a in alone))
    assert not _has_file(connection_hog(SERVER, alone, settings(100)))
    churn = (OPEN, counters(commits=9), window, newcomers(9.0, "cron"))
    assert _has_file(connection_churn(*churn, SERVER, settings(100)))
    assert not _has_file(connection_churn(*churn, SERVER, settings(100), config()))
    assert not _has_file(connection_churn(*churn))


def _has_file(found: Any) -> bool:
    return any("[pgbouncer]" in fix.commands for fix in only(list(found)).fixes)


LOGIN = {"password": "secret"}


@contextmanager
def many_sessions(server: PostgresServer, count: int) -> Iterator[None]:
    """So many sessions of two roles and four applications, all idle."""
    with ExitStack() as stack:
        for n in range(count):
            user, name = f"team{n % 2}", f"app{n % 4}"
            dsn = server.dsn(user, application_name=name, **LOGIN)
            stack.enter_context(psycopg.connect(dsn, autocommit=True))
        yield


@contextmanager
def scram_server() -> Iterator[PostgresServer]:
    """30 slots, and roles that must prove who they are: only postgres is trusted."""
    with (
        needs_servers(),
        postgres(bindir=postgres_binaries(15).bindir, settings={"max_connections": 30}) as server,
    ):
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            for role in ("team0", "team1", "postgres", "scan"):
                login = "ALTER ROLE postgres" if role == "postgres" else f"CREATE ROLE {role} LOGIN"
                admin.execute(f"{login} PASSWORD 'secret'".encode())
            admin.execute("GRANT pg_monitor TO scan")
            rules = (
                "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
            )
            (server.data / "pg_hba.conf").write_text(rules)
            admin.execute("SELECT pg_reload_conf()")
        yield server


@pytest.mark.live
def test_the_file_is_started_as_it_is_and_carries_the_load() -> None:
    """The very text of the fix, another port, its users by its own command; SCRAM on both sides."""
    with scram_server() as server, many_sessions(server, 20):
        report = scan_postgres(server.dsn("scan", **LOGIN))
        found = next(d.finding for d in report.diagnoses if d.finding.check == "pooling.no-pooler")
        file, start = found.fixes
        account, port = unprivileged("postgres"), free_port()
        with workspace("pgbouncer", account) as folder:
            users = folder / "userlist.txt"
            _run(start.commands[2], server, users)
            text = "\n".join(file.commands)
            text = text.replace("/etc/pgbouncer/userlist.txt", str(users))
            text = text.replace("listen_port = 6432", f"listen_port = {port}")
            (folder / "pgbouncer.ini").write_text(text)
            give(folder, account)
            path = program("pgbouncer", install_line="apt-get install pgbouncer")
            with child([path, folder / "pgbouncer.ini"], folder=folder, account=account,
                       ready=lambda: accepts(port)):  # fmt: skip
                _carries(port)


def _run(command: str, server: PostgresServer, users: Path) -> None:
    """The fix's own psql line, by this server's psql, into another file."""
    shell = command.replace("psql ", f"{server.bindir}/psql ", 1)
    shell = shell.replace("/etc/pgbouncer/userlist.txt", str(users))
    assert f"-p {server.port} " in shell
    subprocess.run(["/bin/sh", "-c", shell], check=True, timeout=30)
    assert len(users.read_text().splitlines()) == 4, "postgres, the scan's role and two teams"


def _carries(port: int) -> None:
    """40 clients of both roles at once, and the console answers the scan's role."""
    where = f"host=127.0.0.1 port={port} password=secret"
    with ExitStack() as stack:
        clients = [
            stack.enter_context(
                psycopg.connect(f"{where} user=team{n % 2} dbname=postgres", prepare_threshold=None)
            )
            for n in range(40)
        ]
        for client in clients:
            row = client.execute("SELECT session_user").fetchone()
            client.commit()
            assert row is not None
            assert re.fullmatch("team[01]", row[0])
        console = stack.enter_context(
            psycopg.connect(f"{where} user=scan dbname=pgbouncer", autocommit=True)
        )
        pools = console.cursor(row_factory=dict_row).execute("SHOW POOLS").fetchall()
    modes = {row["user"]: row["pool_mode"] for row in pools}
    assert modes["team0"] == "transaction"


@pytest.mark.live
def test_a_few_sessions_of_several_instances_are_quiet() -> None:
    """A third of the slots is no reason for another process."""
    with scram_server() as server, many_sessions(server, 8):
        report = scan_postgres(server.dsn("scan", **LOGIN))
    everything = [*(d.finding for d in report.diagnoses), *report.minor, *report.risks]
    assert "pooling.no-pooler" not in {f.check for f in everything}
    assert not report.errored
