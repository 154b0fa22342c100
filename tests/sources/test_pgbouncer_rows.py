"""Every version's SHOW gives the same facts: by column name, never by position."""

import pytest

from scaledoctor.sdk import Redactor
from scaledoctor.sources.pgbouncer import (
    ClientGroup,
    DatabaseStats,
    Pool,
    PoolerLists,
    PoolerUser,
    PoolServers,
)
from scaledoctor.sources.pgbouncer._connect import console_refusal
from scaledoctor.sources.pgbouncer.clients import MOST, clients_of
from scaledoctor.sources.pgbouncer.config import config_of
from scaledoctor.sources.pgbouncer.databases import databases_of
from scaledoctor.sources.pgbouncer.pools import lists_of, pools_of
from scaledoctor.sources.pgbouncer.servers import servers_of
from scaledoctor.sources.pgbouncer.session import version_of
from scaledoctor.sources.pgbouncer.stats import stats_of
from scaledoctor.sources.pgbouncer.users import users_of
from tests.sources import pgbouncer_rows as rows
from tests.sources.pgbouncer_rows import VERSIONS, minor

every = pytest.mark.parametrize("version", VERSIONS)


@every
def test_pools(version: str) -> None:
    """maxwait with its microseconds; the console is no pool; the longest queue first."""
    found = pools_of(rows.pools(version))
    assert [p.key for p in found.pools] == ["shop/api", "shop/web"]
    web = found.pools[1]
    assert web == Pool("shop", "web", "transaction", 7, 3, 5, 2, 1, 1, 1, 0, 2.25)
    assert (web.ready, web.servers) == (9, 10)
    assert found.pools[0].ready == 0


def test_cancel_requests_take_servers_too() -> None:
    """Counted from 1.18 on."""
    (row,) = [r for r in rows.pools("1.18") if r["user"] == "web"]
    (found,) = pools_of([{**row, "sv_active_cancel": 1, "sv_being_canceled": 2}]).pools
    assert (found.canceling, found.servers) == (3, 13)


def test_thousands_of_pools_are_cut_to_the_busiest() -> None:
    """And the rest is counted."""
    many = [{**rows.pools("1.25")[1], "user": f"u{i}", "cl_waiting": i} for i in range(1000)]
    found = pools_of(many)
    assert (len(found.pools), found.others, found.pools[0].waiting) == (100, 900, 999)


@every
def test_databases(version: str) -> None:
    """reserve_pool was renamed in 1.24."""
    found = databases_of(rows.databases(version))
    assert [d.name for d in found.databases] == ["shop", "ops"]
    shop, ops = found.databases
    assert (shop.size, shop.reserve, shop.cap, shop.mode, shop.forced) == (12, 3, 15, "", "")
    assert (ops.forced, ops.mode, ops.paused, ops.disabled) == ("admin", "session", True, False)
    assert found.named("shop") is shop
    assert found.named("nobody") is None
    assert not found.stopped


def test_a_pause_of_everything_is_told_by_show_state() -> None:
    """From 1.19 on."""
    state = [{"key": "active", "value": "no"}, {"key": "paused", "value": "yes"}]
    assert databases_of(rows.databases("1.19"), state).stopped


@every
def test_users(version: str) -> None:
    """Sizes of their own from 1.23 on; one that is printed twice is doubtful the second time."""
    found = users_of(rows.users(version)).users
    if minor(version) < 23:
        assert set(found) == {PoolerUser(n, None, None, None) for n in ("api", "batch", "web")}
        return
    by_name = {u.name: u for u in found}
    assert by_name["batch"] == PoolerUser("batch", 4, None, 6)
    assert by_name["api"] == PoolerUser("api", None, None, 0)
    assert by_name["web"] == PoolerUser("web", 4, None, 0, doubtful=True)


@every
def test_clients(version: str) -> None:
    """Grouped by what they do, which no version says in its state alone."""
    found = clients_of(rows.clients(version), Redactor())
    name = "shop-web" if minor(version) >= 18 else ""
    assert found.groups == (
        ClientGroup("shop", "web", name, "10.0.0.7", waiting=1, running=1, holding=1, idle=2),
    )
    assert found.groups[0].count == 5
    assert found.groups[0].label == (name or "10.0.0.7")


def test_thousands_of_clients_do_not_swell_the_snapshot() -> None:
    """Of 20,000 clients of 5,000 applications 200 groups are kept, and the rest is counted."""
    many = [rows.socket("1.25", "C", application_name=f"app{i % 5000}") for i in range(20_000)]
    found = clients_of(many, Redactor())
    assert len(found.groups) == MOST
    assert sum(g.count for g in found.groups) + found.others == 20_000


def test_application_names_are_redacted() -> None:
    """Anything can stand in them."""
    row = rows.socket("1.25", "C", application_name="job password=hunter2")
    assert clients_of([row], Redactor()).groups[0].application == "job password=***"


@every
def test_servers(version: str) -> None:
    """By pool, with the backends' pids; before its login a server has none."""
    assert servers_of(rows.servers(version)).pools == (
        PoolServers("shop", "web", 4, (4700, 4711, 4712)),
    )


def test_pids_are_bounded() -> None:
    """2,000 of all; the count is exact."""
    many = [rows.socket("1.25", "S", remote_pid=i + 1) for i in range(5000)]
    (found,) = servers_of(many).pools
    assert (found.count, len(found.pids)) == (5000, 2000)


@every
def test_stats(version: str) -> None:
    """Counters only: the averages include the wait, and one of them changed its meaning."""
    found = stats_of(rows.stats(version))
    assert found.databases == (DatabaseStats("shop", 900, 1800), DatabaseStats("big", 7, 14))
    assert found.transactions("shop") == 900
    assert found.transactions("nobody") == 0


@every
def test_lists(version: str) -> None:
    """By the name of the list."""
    assert lists_of(rows.lists(version)) == PoolerLists(7, 1, 5, 4, 3)


def test_only_wanted_settings_are_kept() -> None:
    """auth_ldap_options may hold a password; the default column came with 1.15."""
    shown = [
        {"key": "auth_ldap_options", "value": "ldapbindpasswd=hunter2", "changeable": "yes"},
        {"key": "default_pool_size", "value": "20", "default": "20", "changeable": "yes"},
    ]
    assert config_of(shown) == {"default_pool_size": "20"}


@pytest.mark.parametrize(
    ("banner", "version"),
    [
        ("1.18.0/bouncer", (1, 18, 0)),
        ("1.25.2/bouncer", (1, 25, 2)),
        ("1.26dev/bouncer", (1, 26, 0)),
        ("15.4", (0, 0, 0)),
        ("", (0, 0, 0)),
    ],
)
def test_the_version_is_in_the_banner(banner: str, version: tuple[int, int, int]) -> None:
    """server_version of the console."""
    assert version_of(banner) == version


@pytest.mark.parametrize(
    ("text", "category", "words"),
    [
        ("connection failed: FATAL:  not allowed", "auth", "stats_users = watcher"),
        ('connection failed: FATAL:  database "pgbouncer" does not exist', "database", "6432"),
        ("connection failed: FATAL:  bouncer config error", "auth", "auth_file"),
        ("connection failed: FATAL:  no such user: nobody", "auth", "auth_file"),
        ("connection failed: FATAL:  password authentication failed", "auth", "password"),
        ("connection timeout expired", "timeout", "auth_file"),
        ('connection to server at "127.0.0.1", port 1 failed: Connection refused', "refused", ""),
    ],
)
def test_refusals(text: str, category: str, words: str) -> None:
    """One word, one line, and what to do."""
    found = console_refusal(text, "watcher")
    assert found.category == category
    assert words in found.enable
    assert "\n" not in found.message
