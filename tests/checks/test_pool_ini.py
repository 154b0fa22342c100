"""The lint of pgbouncer.ini: each finding at its line."""

from typing import Any

import pytest

from scaledoctor.sdk import Finding, Kind, Severity
from scaledoctor.sources.pgbouncer import PoolerProcess
from scaledoctor.sources.pgbouncer_ini import IniLine, IniProblem, PoolerIni
from scaledoctor_checks.pooling.ini_names import ini_section_twice, ini_syntax, ini_unknown_setting
from scaledoctor_checks.pooling.ini_settings import (
    ini_auth_type,
    ini_reset_query,
    ini_session_mode,
    ini_startup_parameters,
    ini_wait_timeout,
)
from scaledoctor_checks.pooling.ini_sizes import ini_file_descriptors, ini_limits, ini_pool_size
from tests.checks.pg_facts import only, settings
from tests.checks.pool_facts import ask, config

FILE = "/etc/pgbouncer/pgbouncer.ini"
MANY = 20_000
"""Databases; a look through all lines for each of them would take a minute."""


def ini(*entries: tuple[str, str, str], **values: Any) -> PoolerIni:
    """Entries of other sections first, then settings of [pgbouncer], a line each."""
    rows = [*entries, *(("pgbouncer", name, str(value)) for name, value in values.items())]
    return PoolerIni(FILE, tuple(IniLine(*row, FILE, n) for n, row in enumerate(rows, 1)))


def at(finding: Finding, line: int) -> None:
    """A risk that names the line in its summary, its evidence and its fix."""
    where = f"{FILE}:{line}"
    assert finding.kind is Kind.RISK
    assert finding.summary.startswith(f"{where}: ")
    assert finding.evidence[0].source == where
    assert where in finding.fixes[0].commands[0]


@pytest.mark.parametrize(
    ("values", "severity"),
    [
        ({"auth_type": "any", "listen_addr": "*"}, Severity.MEDIUM),
        ({"auth_type": "trust", "listen_addr": "10.0.0.1, 127.0.0.1"}, Severity.MEDIUM),
        ({"auth_type": "trust", "listen_addr": "127.0.0.1, ::1"}, Severity.LOW),
        ({"auth_type": "trust"}, Severity.LOW),
        ({"auth_type": "plain"}, Severity.LOW),
        ({"auth_type": "md5"}, Severity.INFO),
        ({}, Severity.INFO),
        ({"auth_type": "scram-sha-256"}, None),
        ({"auth_type": "hba"}, None),
        ({"auth_type": "cert", "listen_addr": "*"}, None),
    ],
)
def test_auth_type(values: dict[str, str], severity: Severity | None) -> None:
    """scram over md5; trust and any count more where other machines reach it."""
    found = ask(ini_auth_type, ini(**values))
    assert [f.severity for f in found] == ([severity] if severity else [])
    if values.get("auth_type") == "md5":
        at(only(found), 1)
        assert "auth_type = scram-sha-256" in found[0].fixes[0].commands


@pytest.mark.parametrize(
    ("check", "quiet", "firing", "wanted"),
    [
        (ini_session_mode, {"pool_mode": "transaction"}, {"pool_mode": "session"},
         "pool_mode = transaction"),
        (ini_startup_parameters, {"ignore_startup_parameters": "options,extra_float_digits"},
         {"ignore_startup_parameters": "options"},
         "ignore_startup_parameters = options, extra_float_digits"),
        (ini_startup_parameters, {"track_extra_parameters": "extra_float_digits"},
         {"ignore_startup_parameters": ""}, "ignore_startup_parameters = extra_float_digits"),
        (ini_reset_query, {"server_reset_query_always": 0, "pool_mode": "transaction"},
         {"server_reset_query_always": 1, "pool_mode": "transaction"},
         "server_reset_query_always = 0"),
        (ini_reset_query, {"server_reset_query_always": 1, "pool_mode": "session"},
         {"server_reset_query_always": 1, "pool_mode": "statement"},
         "server_reset_query_always = 0"),
        (ini_wait_timeout, {"query_wait_timeout": 59}, {"query_wait_timeout": 60},
         "query_wait_timeout = 15"),
        (ini_wait_timeout, {"query_wait_timeout": 1}, {"query_wait_timeout": 0},
         "query_wait_timeout = 15"),
    ],
)  # fmt: skip
def test_a_setting_is_told_with_its_line(
    check: Any, quiet: dict[str, Any], firing: dict[str, Any], wanted: str
) -> None:
    """The quiet value, and the one beside it."""
    assert not ask(check, ini(**quiet))
    found = only(ask(check, ini(**firing)))
    at(found, 1)
    assert wanted in found.fixes[0].commands


def test_defaults_are_told_without_a_line() -> None:
    """Session mode and two minutes of waiting are what PgBouncer does when nobody says so."""
    for check in (ini_session_mode, ini_wait_timeout):
        found = only(ask(check, ini()))
        assert found.summary.startswith(f"{FILE} (not set): ")
    assert not ask(ini_reset_query, ini(server_reset_query_always=1)), "session is the default"


def test_the_last_line_of_a_setting_counts() -> None:
    """PgBouncer takes the last one, so the first is no finding."""
    lines = (IniLine("pgbouncer", "pool_mode", "session", FILE, 3),
             IniLine("pgbouncer", "pool_mode", "transaction", FILE, 9))  # fmt: skip
    assert not ask(ini_session_mode, PoolerIni(FILE, lines))
    assert only(ask(ini_session_mode, PoolerIni(FILE, lines[::-1]))).summary.startswith(f"{FILE}:3")


SHOP = ("databases", "shop", "host=10.0.0.1 dbname=shop")
BIG = ("databases", "big", "host=10.0.0.1 pool_size=30 reserve_pool=5 max_db_connections=40")
FORCED = ("databases", "one", "host=10.0.0.1 user=app pool_size=10")


@pytest.mark.parametrize(
    ("entries", "values", "most"),
    [
        ((SHOP,), {}, 20),
        ((SHOP, BIG), {}, 55),
        ((SHOP, ("users", "web", "pool_mode=session"), ("users", "api", "")), {}, 40),
        ((BIG, ("users", "web", ""), ("users", "api", "")), {}, 40),
        ((FORCED, ("users", "web", ""), ("users", "api", "")), {}, 10),
        ((SHOP,), {"default_pool_size": 50, "reserve_pool_size": 10}, 60),
        ((SHOP, BIG), {"max_db_connections": 15}, 50),
    ],
)
def test_pools_against_the_slots_at_the_edge(
    entries: tuple[tuple[str, str, str], ...], values: dict[str, int], most: int
) -> None:
    """As many slots as that are enough, one less is not; the entry's own cap counts first."""
    assert not ask(ini_pool_size, ini(*entries, **values), settings=settings(most))
    found = only(ask(ini_pool_size, ini(*entries, **values), settings=settings(most - 1)))
    assert f"pools may open {most} connections" in found.summary
    assert found.severity is Severity.MEDIUM


def test_very_many_databases_are_added_up_in_one_pass() -> None:
    many = ini(*(("databases", f"db{i}", "host=h") for i in range(MANY)))
    found = only(ask(ini_pool_size, many, settings=settings(100)))
    assert f"may open {20 * MANY} connections (20 of db0 + 20 of db1" in found.summary
    files = only(ask(ini_file_descriptors, many))
    assert files.evidence[0].value == 100 + 10 + 20 * MANY


def test_without_postgres_97_slots_are_assumed() -> None:
    """As PostgreSQL is delivered; less sure, so low."""
    five = [("databases", f"d{i}", "host=10.0.0.1") for i in range(5)]
    assert not ask(ini_pool_size, ini(*five[:4]))
    found = only(ask(ini_pool_size, ini(*five, default_pool_size=20)))
    assert found.severity is Severity.LOW
    at(found, 6)
    assert "default_pool_size = 19" in found.fixes[0].commands


@pytest.mark.parametrize(
    ("entries", "values", "fires"),
    [
        ((SHOP,), {}, False),
        ((SHOP, FORCED), {}, True),
        ((("databases", "*", "host=10.0.0.1"),), {}, True),
        ((SHOP, BIG), {}, False),
        ((SHOP, FORCED), {"max_user_connections": 10}, False),
        ((SHOP, FORCED), {"max_db_connections": 10}, False),
        ((SHOP, FORCED, ("users", "web", "max_user_connections=5")), {}, False),
    ],
)
def test_missing_limits(
    entries: tuple[tuple[str, str, str], ...], values: dict[str, int], fires: bool
) -> None:
    """Several databases, and no limit anywhere."""
    assert bool(ask(ini_limits, ini(*entries, **values))) is fires


@pytest.mark.parametrize(("clients", "fires"), [(994, False), (995, True)])
def test_open_files(clients: int, fires: bool) -> None:
    """clients + 10 + 20 servers against 1024, or what the process has."""
    found = ask(ini_file_descriptors, ini(SHOP, max_client_conn=clients))
    assert bool(found) is fires
    if found:
        assert only(found).summary.startswith(f"{FILE}:2: max_client_conn = 995 needs 1,025 open")
    many = PoolerProcess(1, 1, 20_000, None)
    assert not ask(ini_file_descriptors, ini(SHOP, max_client_conn=clients), process=many)
    few = PoolerProcess(1, 1, 500, None)
    assert only(
        ask(ini_file_descriptors, ini(SHOP, max_client_conn=clients), process=few)
    ).severity is Severity.MEDIUM  # fmt: skip


def test_a_misspelt_setting_is_told_with_its_nearest_match() -> None:
    """PgBouncer would not start with it."""
    found = only(ask(ini_unknown_setting, ini(SHOP, defualt_pool_size=30)))
    assert found.summary == (
        f"{FILE}:2: defualt_pool_size is no setting of PgBouncer; did you mean default_pool_size?"
    )
    assert "default_pool_size = 30" in found.fixes[0].commands
    strange = only(ask(ini_unknown_setting, ini(work_mem="1MB")))
    assert "did you mean" not in strange.summary
    section = only(ask(ini_unknown_setting, ini(("database", "shop", "host=1"))))
    assert "[database] is no section of PgBouncer; did you mean databases?" in section.summary


def test_names_are_known_by_version_where_the_console_tells_it() -> None:
    """max_prepared_statements came with 1.21; all names of 1.15 to 1.25 are known without."""
    newer = ini(max_prepared_statements=200, transaction_timeout=5, query_timeout=5)
    assert not ask(ini_unknown_setting, newer)
    found = ask(ini_unknown_setting, newer, config((1, 18, 0)))
    assert [f.subject for f in found] == ["max_prepared_statements", "transaction_timeout"]
    assert "came with 1.21, this is PgBouncer 1.18.0" in found[0].summary
    assert len(ask(ini_unknown_setting, newer, config((1, 24, 1)))) == 1


def test_lines_that_stop_pgbouncer_are_told() -> None:
    """With the line; an include that we cannot read is less sure."""
    broken = PoolerIni(FILE, (), (IniProblem(FILE, 7, "neither a setting (name = value)"),))
    found = only(ask(ini_syntax, broken))
    assert (found.severity, found.subject) == (Severity.MEDIUM, f"{FILE}:7")
    unread = PoolerIni(FILE, (), (IniProblem(FILE, 7, "include a.ini cannot be read: denied"),))
    assert only(ask(ini_syntax, unread)).severity is Severity.LOW
    assert not ask(ini_syntax, ini(SHOP))


def test_a_second_section_resets_the_first() -> None:
    """By PgBouncer's own reader; the lines before it count no more."""
    names = "admin_users, pool_mode, auth_type, listen_addr, logfile"
    twice = PoolerIni(FILE, (), (), (IniProblem(FILE, 40, names),))
    found = only(ask(ini_section_twice, twice))
    assert found.summary == (
        f"{FILE}:40: a second [pgbouncer] sets admin_users, pool_mode, auth_type, listen_addr and "
        "more back to the default"
    )
    assert not ask(ini_section_twice, ini(pool_mode="transaction"))
