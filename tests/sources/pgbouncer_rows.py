"""Rows as each version of PgBouncer prints them: columns from admin.c and stats.c of its tags."""

from decimal import Decimal
from typing import Any

VERSIONS = ("1.15", "1.16", "1.17", "1.18", "1.19", "1.20", "1.21", "1.22", "1.23", "1.24", "1.25")


def minor(version: str) -> int:
    """18 of 1.18."""
    return int(version.partition(".")[2])


def pools(version: str) -> list[dict[str, Any]]:
    """One pool at work, one that waits, and the console's own."""
    return [
        _pool(version, "shop", "web", cl_active=7, cl_waiting=3, sv_active=5, sv_idle=2, sv_used=1,
              sv_tested=1, sv_login=1, maxwait=2, maxwait_us=250_000, pool_mode="transaction"),
        _pool(version, "shop", "api", cl_waiting=4, pool_mode="transaction"),
        _pool(version, "pgbouncer", "pgbouncer", cl_active=1, pool_mode="statement"),
    ]  # fmt: skip


def _pool(version: str, database: str, user: str, **values: Any) -> dict[str, Any]:
    names = ["cl_active", "cl_waiting"]
    if minor(version) >= 18:
        names += ["cl_active_cancel_req", "cl_waiting_cancel_req"]
    elif minor(version) >= 16:
        names += ["cl_cancel_req"]
    names += ["sv_active"]
    if minor(version) >= 18:
        names += ["sv_active_cancel", "sv_being_canceled"]
    names += ["sv_idle", "sv_used", "sv_tested", "sv_login", "maxwait", "maxwait_us", "pool_mode"]
    if minor(version) >= 24:
        names += ["load_balance_hosts"]
    zero = dict.fromkeys(names, 0) | {"load_balance_hosts": None}
    row = {"database": database, "user": user, **{n: zero[n] for n in names}}
    return row | {name: values[name] for name in values if name in names}


def databases(version: str) -> list[dict[str, Any]]:
    """shop with sizes and a cap, one that is paused and forces a user, and the console's."""
    return [
        _database(version, "shop", pool_size=12, reserve=3, max_connections=15),
        _database(version, "ops", force_user="admin", pool_mode="session", paused=1),
        _database(version, "pgbouncer", force_user="pgbouncer", pool_size=2),
    ]


def _database(version: str, name: str, **values: Any) -> dict[str, Any]:
    number = minor(version)
    reserve = "reserve_pool_size" if number >= 24 else "reserve_pool"
    row: dict[str, Any] = {"name": name, "host": "10.0.0.1", "port": 5432, "database": name,
                           "force_user": None, "pool_size": 20}  # fmt: skip
    if number >= 16:
        row |= {"min_pool_size": 0}
    row |= {reserve: values.pop("reserve", 0)}
    if number >= 23:
        row |= {"server_lifetime": 3600}
    row |= {"pool_mode": None}
    if number >= 24:
        row |= {"load_balance_hosts": None}
    row |= {"max_connections": 0, "current_connections": 0}
    if number >= 24:
        row |= {"max_client_connections": 0, "current_client_connections": 0}
    return row | {"paused": 0, "disabled": 0} | values


def users(version: str) -> list[dict[str, Any]]:
    """Three users, the second with a size of its own, which the third seems to have too."""
    rows: list[dict[str, Any]] = []
    printed = ""
    for name, size, cap in (("api", None, 0), ("batch", 4, 6), ("web", None, 0)):
        row: dict[str, Any] = {"name": name}
        if minor(version) >= 23:
            printed = printed if size is None else f"{size:9d}"
            row |= {"pool_size": printed}
        if minor(version) >= 24:
            row |= {"reserve_pool_size": ""}
        row |= {"pool_mode": None}
        if minor(version) >= 23:
            row |= {"max_user_connections": cap, "current_connections": 0}
        if minor(version) >= 24:
            row |= {"max_user_client_connections": 0, "current_client_connections": 0}
        rows.append(row)
    return rows


def clients(version: str) -> list[dict[str, Any]]:
    """Two idle, one that runs a query, one idle in its transaction, one that waits, ours."""
    idle = "idle" if minor(version) >= 25 else "active"
    return [
        socket(version, "C", state=idle),
        socket(version, "C", state=idle, wait_us=0),
        socket(version, "C", state="active", link="0x1", wait=3, wait_us=20),
        socket(version, "C", state="active", link="0x2"),
        socket(version, "C", state="waiting", wait_us=90_000),
        socket(version, "C", database="pgbouncer", user="stats", state=idle, wait_us=1_500),
    ]


def servers(version: str) -> list[dict[str, Any]]:
    """Two at work, one idle, one that logs in and has no backend yet."""
    return [
        socket(version, "S", state="active", link="0x9", remote_pid=4711),
        socket(version, "S", state="active", link="0x8", remote_pid=4700),
        socket(version, "S", state="idle", remote_pid=4712),
        socket(version, "S", state="new" if minor(version) >= 20 else "login", remote_pid=0),
    ]


def socket(version: str, kind: str, **values: Any) -> dict[str, Any]:
    """One row of SHOW CLIENTS or SHOW SERVERS."""
    number = minor(version)
    row: dict[str, Any] = {"type": kind, "user": "web", "database": "shop"}
    if number >= 23:
        row |= {"replication": "none"}
    row |= {
        "state": "active", "addr": "10.0.0.7", "port": 50_000, "local_addr": "10.0.0.9",
        "local_port": 6432, "connect_time": "2026-01-01 10:00:00 UTC",
        "request_time": "2026-01-01 10:00:00 UTC", "wait": 0, "wait_us": 0, "close_needed": 0,
        "ptr": "0x55", "link": "", "remote_pid": 0, "tls": "",
    }  # fmt: skip
    if number >= 18:
        row |= {"application_name": "shop-web"}
    if number >= 21:
        row |= {"prepared_statements": 0}
    if number >= 24:
        row |= {"id": 5}
    return row | values


def stats(version: str) -> list[dict[str, Any]]:
    """Two databases and the console; numerics come as Decimal."""
    names = ["xact_count", "query_count", "received", "sent", "xact_time", "query_time",
             "wait_time"]  # fmt: skip
    if minor(version) >= 23:
        names = ["server_assignment_count", *names]
    if minor(version) >= 24:
        names += ["client_parse_count", "server_parse_count", "bind_count"]
    return [
        {"database": database, **{f"total_{n}": Decimal(n_) for n, n_ in _counted(names, xacts)},
         **{f"avg_{n}": Decimal(0) for n in names}}
        for database, xacts in (("pgbouncer", 1), ("big", 7), ("shop", 900))
    ]  # fmt: skip


def _counted(names: list[str], xacts: int) -> list[tuple[str, int]]:
    return [(n, {"xact_count": xacts, "query_count": 2 * xacts}.get(n, 0)) for n in names]


def lists(version: str) -> list[dict[str, Any]]:
    """Seven clients, ours among them."""
    names = {"databases": 3, "users": 4, "pools": 3}
    if minor(version) >= 19:
        names |= {"peers": 0, "peer_pools": 0}
    names |= {"free_clients": 43, "used_clients": 7, "login_clients": 1, "free_servers": 45,
              "used_servers": 5, "dns_names": 0}  # fmt: skip
    return [{"list": name, "items": items} for name, items in names.items()]
