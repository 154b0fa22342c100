"""An ephemeral MariaDB: nothing of it is shared with another one, nothing is kept."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from scaledoctor.demo.servers.child import (
    Command,
    accepts,
    child,
    environment,
    free_port,
    program,
    tool,
)
from scaledoctor.demo.servers.workspace import unprivileged, workspace

INSTALL_LINE = "apt-get install mariadb-server"


@dataclass(frozen=True, slots=True)
class MariadbServer:
    """A running server on a loopback port, with its socket; ``root`` has no password."""

    port: int
    pid: int
    log: Path
    socket: Path

    def url(self, user: str = "root", password: str = "", database: str = "") -> str:
        """Its URL over TCP."""
        login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        return f"mysql://{login}@127.0.0.1:{self.port}/{database}"

    def socket_url(self, user: str = "root") -> str:
        """Its URL over the socket."""
        return f"mysql://{user}@/?{urlencode({'unix_socket': str(self.socket)})}"


@contextmanager
def mariadb(settings: Sequence[str] = ()) -> Iterator[MariadbServer]:
    """A fresh server, as another account than root.

    `settings` are more words of its command line. Raises `ServerMissing` and `ServerFailed`.
    """
    server = program("mariadbd", install_line=INSTALL_LINE)
    install = program("mariadb-install-db", install_line=INSTALL_LINE)
    account = unprivileged("mysql")
    with workspace("mariadb", account) as folder:
        port, data, socket = free_port(), folder / "data", folder / "socket"
        make: Command = [
            install, "--no-defaults", f"--datadir={data}", "--skip-test-db", "--cross-bootstrap",
            "--auth-root-authentication-method=normal",
        ]  # fmt: skip
        tool(make, folder=folder, account=account)
        usual = [
            "--no-defaults", f"--datadir={data}", f"--socket={socket}", f"--port={port}",
            "--bind-address=127.0.0.1", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0",
            f"--pid-file={folder / 'pid'}", f"--tmpdir={folder}",
            "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M",
        ]  # fmt: skip
        with child(
            [server, *usual, *settings],
            folder=folder,
            account=account,
            env=environment(folder),
            ready=lambda: accepts(port),
        ) as running:
            yield MariadbServer(port, running.pid, running.log, socket)
