"""An ephemeral PostgreSQL, and a standby of it, from any folder of programs."""

import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote, urlencode

from scaledoctor.demo.servers.binaries import PostgresBinaries, choose
from scaledoctor.demo.servers.child import Command, ServerMissing, child, free_port, tool
from scaledoctor.demo.servers.workspace import Account, give, unprivileged, workspace

Settings = Mapping[str, str | int]
"""Configuration parameters by name."""

NONE: Settings = MappingProxyType({})

DEFAULTS: Settings = MappingProxyType(
    {
        "listen_addresses": "127.0.0.1",
        "shared_preload_libraries": "pg_stat_statements,auto_explain",
    }
)


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server; `data` and `log` exist as long as it does."""

    port: int
    major: int
    version: str
    pid: int
    data: Path
    log: Path
    bindir: Path

    def dsn(self, user: str = "postgres", dbname: str = "postgres", **params: str) -> str:
        """A connection URL over loopback TCP; `params` such as application_name go behind it."""
        return dsn(self.port, user, dbname, **params)


def dsn(port: int, user: str, dbname: str, **params: str) -> str:
    """A PostgreSQL connection URL to a loopback port; every part is percent-encoded."""
    query = f"?{urlencode(params, quote_via=quote)}" if params else ""
    return f"postgresql://{quote(user, safe='')}@127.0.0.1:{port}/{quote(dbname, safe='')}{query}"


@contextmanager
def postgres(*, bindir: Path | None = None, settings: Settings = NONE) -> Iterator[PostgresServer]:
    """A fresh server with superuser ``postgres``, trust authentication and a free port.

    `bindir` holds the programs; without it the first of `find_postgres` is taken. `settings`
    override the defaults, which preload pg_stat_statements and auto_explain. The server stops,
    and its folder goes, when the block ends. Raises `ServerMissing` and `ServerFailed`.
    """
    binaries = choose(bindir)
    account = unprivileged("postgres")
    with workspace("postgres", account) as folder:
        reachable = _reachable(binaries, folder, account)
        flags = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        initdb: Command = [reachable.bindir / "initdb", "-D", folder / "data", *flags]
        tool(initdb, folder=folder, account=account)
        with _running(reachable, folder, account, {**DEFAULTS, **settings}) as server:
            yield server


@contextmanager
def standby_of(primary: PostgresServer, *, settings: Settings = NONE) -> Iterator[PostgresServer]:
    """A streaming hot standby of `primary`, copied with pg_basebackup.

    It inherits the primary's configuration; `settings` override it. Raises `ServerMissing` when
    the primary's folder of programs has no pg_basebackup.
    """
    if not (primary.bindir / "pg_basebackup").exists():
        raise ServerMissing(
            f"{primary.bindir} has no pg_basebackup", f"apt-get install postgresql-{primary.major}"
        )
    account = unprivileged("postgres")
    with workspace("standby", account) as folder:
        source = ["-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres"]
        copy: Command = ["-D", folder / "data", "-R", "-X", "stream", "-c", "fast", "--no-sync"]
        command: Command = [primary.bindir / "pg_basebackup", *source, *copy]
        tool(command, folder=folder, account=account)
        binaries = PostgresBinaries(primary.bindir, primary.major, primary.version, "primary")
        with _running(binaries, folder, account, settings) as server:
            yield server


@contextmanager
def _running(
    binaries: PostgresBinaries, folder: Path, account: Account | None, settings: Settings
) -> Iterator[PostgresServer]:
    data = folder / "data"
    port = free_port()
    chosen = {"port": port, "unix_socket_directories": str(folder), **settings}
    with (data / "postgresql.auto.conf").open("a") as configuration:
        configuration.writelines(f"{name} = {_quoted(value)}\n" for name, value in chosen.items())

    def ready() -> bool:
        with suppress(FileNotFoundError):
            lines = (data / "postmaster.pid").read_text().splitlines()
            # "standby" stays where hot_standby is off; see miscadmin.h
            return len(lines) > 7 and lines[7].strip() in ("ready", "standby")
        return False

    command: Command = [binaries.bindir / "postgres", "-D", data]
    # SIGINT is PostgreSQL's fast shutdown: it ends the sessions instead of waiting for them.
    with child(
        command, folder=folder, account=account, ready=ready, stop_signal=signal.SIGINT
    ) as running:
        major, version = binaries.major, binaries.version
        yield PostgresServer(
            int(chosen["port"]), major, version, running.pid, data, running.log, binaries.bindir
        )


def _quoted(value: str | int) -> str:
    text = str(value).replace("\\", "\\\\").replace("'", "''")
    return f"'{text}'"


def _reachable(
    binaries: PostgresBinaries, folder: Path, account: Account | None
) -> PostgresBinaries:
    """The same programs, copied into `folder` if the account cannot run them where they are.

    A virtual environment below a private home is the usual case. No permission is changed.
    """
    try:
        tool([binaries.bindir / "postgres", "--version"], folder=folder, account=account)
    except PermissionError:
        bindir = _copied(binaries.bindir, folder / "programs", account)
        return PostgresBinaries(bindir, binaries.major, binaries.version, binaries.origin)
    return binaries


def _copied(bindir: Path, target: Path, account: Account | None) -> Path:
    root = bindir.parent
    # auditwheel puts shared libraries into PACKAGE.libs and finds them by a relative path.
    package = next(
        (path for path in (root, *root.parents) if Path(f"{path}.libs").is_dir()),
        root,
    )
    unused = shutil.ignore_patterns("include", "*.a", "pkgconfig", "pgxs")
    inside = target / root.relative_to(package.parent)
    shutil.copytree(root, inside, symlinks=True, ignore=unused)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    give(target, account)
    return inside / bindir.name
