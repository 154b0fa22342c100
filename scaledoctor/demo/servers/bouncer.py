"""An ephemeral PgBouncer in front of an ephemeral PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scaledoctor.demo.servers.child import accepts, child, free_port, program
from scaledoctor.demo.servers.pg import NONE, Settings, dsn
from scaledoctor.demo.servers.workspace import give, unprivileged, workspace

INSTALL_LINE = "apt-get install pgbouncer"


@dataclass(frozen=True, slots=True)
class PgBouncer:
    """A running pooler on a loopback port; every database of its server is behind it."""

    port: int
    pid: int
    log: Path
    ini: Path

    def dsn(self, user: str = "postgres", dbname: str = "postgres", **params: str) -> str:
        """A connection URL through the pooler, or to its console with dbname ``pgbouncer``.

        On the console ``postgres`` is an administrator and ``stats`` may only look.
        """
        return dsn(self.port, user, dbname, **params)


@contextmanager
def pgbouncer(
    pg_port: int, *, pool_mode: str = "transaction", ini: Settings = NONE
) -> Iterator[PgBouncer]:
    """The system's PgBouncer before the server on `pg_port`, as another account than root.

    `ini` overrides the ``[pgbouncer]`` section. Roles pass through: each role of the server gets
    its own pool. Raises `ServerMissing` and `ServerFailed`.
    """
    path = program("pgbouncer", install_line=INSTALL_LINE)
    account = unprivileged("postgres")
    with workspace("pgbouncer", account) as folder:
        port = free_port()
        settings = _defaults(port, pool_mode, folder) | dict(ini)
        users = folder / "users.txt"
        users.write_text('"postgres" ""\n"stats" ""\n')
        configuration = folder / "pgbouncer.ini"
        section = "".join(f"{name} = {value}\n" for name, value in settings.items())
        databases = f"[databases]\n* = host=127.0.0.1 port={pg_port}\n"
        configuration.write_text(f"{databases}[pgbouncer]\n{section}")
        give(folder, account)
        with child(
            [path, configuration], folder=folder, account=account, ready=lambda: accepts(port)
        ) as running:
            yield PgBouncer(port, running.pid, running.log, configuration)


def _defaults(port: int, pool_mode: str, folder: Path) -> dict[str, str | int]:
    return {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "trust",
        "auth_file": str(folder / "users.txt"),
        "auth_user": "postgres",  # asks pg_shadow for every other role
        "admin_users": "postgres",
        "stats_users": "stats",
        "pool_mode": pool_mode,
        "ignore_startup_parameters": "extra_float_digits,options",
        "logfile": str(folder / "pgbouncer.log"),
    }
