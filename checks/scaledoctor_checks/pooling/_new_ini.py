"""A complete pgbouncer.ini for a system that has no pooler yet, sized by what was measured."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor

from scaledoctor.sdk import Fix, Window
from scaledoctor.sources.postgres import Activity, Server, Session, Settings
from scaledoctor.sql import literal
from scaledoctor_checks.pooling._causes import KEPT_FREE
from scaledoctor_checks.pooling._words import nameable, value

FEWEST = 5
"""No pool is advised below this: one window may miss the busy moment."""

MOST = 50
"""Databases with a line of their own; the entry * serves the others."""

LOCAL = ("", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Demand:
    """What one user of one database asks of the server; all are the most seen at once.

    ``busy`` are its sessions in a transaction, ``addresses`` where it connects from.
    """

    database: str
    user: str
    sessions: int
    busy: int
    addresses: int

    @property
    def size(self) -> int:
        """The busiest moment, a quarter above, and one."""
        return max(FEWEST, ceil(self.busy * 1.25) + 1)


def demands(window: Window[Activity]) -> list[Demand]:
    """Return every user of every database, the one with most sessions first."""
    found: dict[tuple[str, str], list[list[Session]]] = {}
    for number, sample in enumerate(window):
        for session in sample.sessions:
            key = (session.database, session.user)
            empty: list[list[Session]] = [[] for _ in range(len(window))]
            found.setdefault(key, empty)[number].append(session)
    result = [
        Demand(
            database=database,
            user=user,
            sessions=max(map(len, samples)),
            busy=max(sum(s.state != "idle" for s in sample) for sample in samples),
            addresses=len({s.client for sample in samples for s in sample}),
        )
        for (database, user), samples in found.items()
    ]
    return sorted(result, key=lambda d: (-d.sessions, d.database, d.user))


def pooler_fixes(server: Server, settings: Settings, window: Window[Activity]) -> tuple[Fix, ...]:
    """PgBouncer in transaction mode in front of this server: its file, and how to start it."""
    wanted = demands(window)
    if not wanted:
        return ()
    count = sum(d.sessions for d in wanted)
    pools = sum(d.size for d in wanted)
    return (
        Fix(
            f"Put PgBouncer in between: {count} sessions become at most {pools}",
            tuple(_file(server, settings, window, wanted)),
            language="ini",
            risk="what a client keeps in its session is lost between transactions: LISTEN, session "
            "advisory locks, SET without LOCAL, temporary tables, prepared statements before 1.21",
            verify="scaledoctor scan --pgbouncer postgresql://user@host:6432/pgbouncer --dsn ...: "
            "pgbouncer.pool below 80 %, nobody waits",
            undo="point the applications at PostgreSQL's port again, then systemctl stop pgbouncer",
        ),
        _start(server, wanted),
    )


def _file(
    server: Server, settings: Settings, window: Window[Activity], wanted: Sequence[Demand]
) -> Iterator[str]:
    usable = settings.max_connections - settings.reserved
    kept = max(3, ceil(KEPT_FREE * usable))
    room = max(len(wanted), usable - kept)
    pools = sum(d.size for d in wanted)
    local = all(s.client in LOCAL for a in window for s in a.sessions)
    clients = max(100, ceil(2 * sum(d.sessions for d in wanted) / 100) * 100)
    yield "; /etc/pgbouncer/pgbouncer.ini, for PgBouncer on PostgreSQL's machine"
    yield f"; {usable} usable slots - {kept} kept free = {room} for pools; needed: {pools}"
    for d in wanted[:MOST]:
        yield (
            f"; {d.database}/{d.user}: {d.sessions} sessions, at most {d.busy} busy: "
            f"{d.busy} x 1.25 + 1, at least {FEWEST}: {d.size}"
        )
    yield "[databases]"
    yield from _databases(server, wanted, min(1.0, room / pools))
    yield "[pgbouncer]"
    yield f"listen_addr = {'127.0.0.1' if local else '*'}"
    yield "listen_port = 6432"
    yield "unix_socket_dir ="
    yield "auth_type = scram-sha-256"
    yield "auth_file = /etc/pgbouncer/userlist.txt"
    yield f"admin_users = {_admin(server)}"
    yield f"stats_users = {server.role}"
    yield "pool_mode = transaction"
    yield f"default_pool_size = {FEWEST}"
    yield f"; twice the sessions of now, for a deployment; needs LimitNOFILE >= {clients + 1000}"
    yield f"max_client_conn = {clients}"
    yield "; fail fast: below the 60 s that a proxy in front waits"
    yield "query_wait_timeout = 15"
    yield "server_connect_timeout = 5"
    yield "server_login_retry = 5"
    yield "ignore_startup_parameters = extra_float_digits"
    yield "; PgBouncer 1.21 and later: take the semicolon away, and prepared statements work"
    yield ";max_prepared_statements = 200"


def _databases(server: Server, wanted: Sequence[Demand], fits: float) -> Iterator[str]:
    """A line for each database: the largest of its users' pools, and a cap for all of them.

    Where all together are more than the room, each is cut in proportion.
    """
    names = list(dict.fromkeys(d.database for d in wanted))
    for name in names[:MOST]:
        sizes = [max(1, floor(d.size * fits)) for d in wanted if d.database == name]
        line = f"host=127.0.0.1 port={server.port} dbname={value(name)}"
        line += f" pool_size={max(sizes)} max_db_connections={sum(sizes)}"
        if nameable(name):
            yield f"{name} = {line}"
        else:
            yield f"; {name!r}: an entry of such a name cannot be written, the entry * serves it"
    if len(names) > MOST or not all(map(nameable, names)):
        yield f"* = host=127.0.0.1 port={server.port}"


def _admin(server: Server) -> str:
    return server.role if server.superuser else "postgres"


def _start(server: Server, wanted: Sequence[Demand]) -> Fix:
    roles = list(dict.fromkeys([_admin(server), server.role, *(d.user for d in wanted)]))
    names = ", ".join(map(literal, roles))
    both = "replace(rolname, '\"', '\"\"'), rolpassword"
    query = (
        f'SELECT format(\'"%s" "%s"\', {both}) FROM pg_authid '
        f"WHERE rolname IN ({names}) AND rolpassword LIKE 'SCRAM-SHA-256%'"
    )
    # Inside the shell's double quotes.
    query = query.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")
    return Fix(
        "Its users with their SCRAM secrets, then start it and move the applications to port 6432",
        (
            "apt-get install pgbouncer",
            "install -o postgres -g postgres -m 600 /dev/null /etc/pgbouncer/userlist.txt",
            f"psql -h 127.0.0.1 -p {server.port} -U {_admin(server)} -d postgres -Atc "
            f'"{query}" > /etc/pgbouncer/userlist.txt',
            "systemctl restart pgbouncer",
            "# in the applications: port 6432 instead of "
            f"{server.port}; psycopg: prepare_threshold=None before PgBouncer 1.21",
        ),
        language="shell",
        risk="a role whose password is still an md5 hash is left out: set it again with "
        "password_encryption = scram-sha-256",
        verify=f"wc -l /etc/pgbouncer/userlist.txt: {len(roles)} lines",
        undo="systemctl stop pgbouncer; PostgreSQL itself was not changed",
    )
