"""An ephemeral RabbitMQ with its management API; nothing of it is shared with another one."""

import http.client
import os
import signal
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from scaledoctor.demo.servers.child import (
    Command,
    accepts,
    child,
    environment,
    free_port,
    program,
    tool,
)
from scaledoctor.demo.servers.workspace import Account, give, unprivileged, workspace

INSTALL_LINE = "apt-get install rabbitmq-server"
PROGRAMS = Path("/usr/lib/rabbitmq/bin")
"""Debian's wrappers in /usr/sbin run as root or rabbitmq alone."""

PATIENCE = 120.0
"""Seconds to start; three on an idle machine, and Erlang reads a hundred modules."""

ERLANG = "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none"
"""Nothing but loopback, one scheduler, and no busy waiting."""

NONE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class RabbitServer:
    """A running broker on loopback: the ports of AMQP and of the management API.

    ``guest`` may do everything. `ctl` runs rabbitmqctl as somebody on its machine would.
    """

    port: int
    api_port: int
    pid: int
    log: Path
    folder: Path
    account: Account | None
    env: Mapping[str, str] = field(repr=False)

    def url(self, user: str = "guest", password: str = "guest") -> str:  # noqa: S107  its default
        """The management API with a login."""
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"http://{login}@127.0.0.1:{self.api_port}"

    def ctl(self, *words: str) -> str:
        """Run rabbitmqctl and return what it prints; takes a second or two."""
        command: Command = (_program("rabbitmqctl"), *words)
        return tool(command, folder=self.folder, account=self.account, env=self.env)


@contextmanager
def rabbitmq(settings: Mapping[str, str] = NONE) -> Iterator[RabbitServer]:
    """A broker of one node, as another account than root; `settings` override rabbitmq.conf.

    It has its own Erlang port mapper, which ends with it. Raises `ServerMissing` and
    `ServerFailed`.
    """
    server, mapper = _program("rabbitmq-server"), program("epmd", install_line=INSTALL_LINE)
    account = unprivileged("rabbitmq")
    with workspace("epmd", account) as beside, workspace("rabbitmq", account) as folder:
        port, api_port, mapper_port = free_port(), free_port(), free_port()
        env = _environment(folder, port, mapper_port)
        conf = _defaults(port, api_port) | dict(settings)
        lines = (f"{name} = {value}\n" for name, value in conf.items())
        (folder / "rabbitmq.conf").write_text("".join(lines))
        (folder / "plugins").write_text("[rabbitmq_management].\n")
        give(folder, account)
        with (
            child(
                [mapper, "-port", str(mapper_port), "-address", "127.0.0.1"],
                folder=beside,
                account=account,
                ready=lambda: accepts(mapper_port),
            ),
            child(
                [server],
                folder=folder,
                account=account,
                env=env,
                ready=lambda: _answers(api_port),
                patience=PATIENCE,
            ) as running,
        ):
            try:
                yield RabbitServer(port, api_port, running.pid, running.log, folder, account, env)
            finally:
                # A proper stop takes six seconds, and there is nothing to keep.
                with suppress(ProcessLookupError):
                    os.killpg(running.pid, signal.SIGKILL)  # it leads its own session


def _program(name: str) -> Path:
    ours = PROGRAMS / name
    return ours if ours.is_file() else program(name, install_line=INSTALL_LINE)


def _defaults(port: int, api_port: int) -> dict[str, str]:
    return {
        "listeners.tcp.1": f"127.0.0.1:{port}",
        "management.tcp.ip": "127.0.0.1",
        "management.tcp.port": str(api_port),
        "log.console": "true",
        "log.console.level": "warning",
        "log.file": "false",
        "vm_memory_high_watermark.absolute": "512MB",
        "disk_free_limit.absolute": "50MB",
    }


def _environment(folder: Path, port: int, mapper_port: int) -> dict[str, str]:
    usual = environment(folder)
    clean = {n: v for n, v in usual.items() if not n.startswith(("RABBITMQ_", "ERL_"))}
    return clean | {
        "RABBITMQ_NODENAME": f"scaledoctor{port}@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "ERL_EPMD_PORT": str(mapper_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_BASE": str(folder),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "logs"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "no-advanced.config"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "no-env.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG,
        "PATH": f"{PROGRAMS}:{clean.get('PATH', os.defpath)}:/usr/sbin",
    }


def _answers(api_port: int) -> bool:
    login = b64encode(b"guest:guest").decode()
    connection = http.client.HTTPConnection("127.0.0.1", api_port, timeout=2)
    try:
        connection.request("GET", "/api/overview", headers={"Authorization": f"Basic {login}"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
