"""A real node_exporter and a real Prometheus that scrapes it, as children on loopback."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx

from scaledoctor.demo.servers.child import accepts, child, free_port, program
from scaledoctor.demo.servers.workspace import give, unprivileged, workspace
from tests.servers import needs_servers

EXPORTER = "prometheus-node-exporter"
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: node
  static_configs: [{{targets: {targets}}}]
"""


@contextmanager
def node_exporter(*flags: str, name: str = "") -> Iterator[int]:
    """Debian's node_exporter of this machine; its port.

    With a name it runs where the machine is called so, which takes root and util-linux.
    """
    with needs_servers():
        binary = program(EXPORTER, install_line=f"apt-get install {EXPORTER}")
    account, port = None if name else unprivileged("node"), free_port()
    renamed: list[str | Path] = []
    if name:
        unshare = program("unshare", install_line="apt-get install util-linux")
        renamed = [unshare, "--uts", "sh", "-c", f'hostname {name}; exec "$@"', "sh"]
    with (
        workspace("node", account) as folder,
        child(
            [*renamed, binary, f"--web.listen-address=127.0.0.1:{port}", *flags],
            folder=folder,
            account=account,
            ready=lambda: accepts(port),
        ),
    ):
        yield port


@contextmanager
def prometheus(*ports: int, scrapes: int = 3) -> Iterator[int]:
    """Debian's Prometheus that has scraped these exporters so many times; its port."""
    with needs_servers():
        binary = program("prometheus", install_line="apt-get install prometheus")
    account, port = unprivileged("prometheus"), free_port()
    with workspace("prometheus", account) as folder:
        config = folder / "prometheus.yml"
        config.write_text(CONFIG.format(targets=[f"127.0.0.1:{p}" for p in ports]))
        give(folder, account)
        command: list[str | Path] = [
            binary,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with child(command, folder=folder, account=account, ready=lambda: accepts(port)):
            _await_scrapes(port, ports, scrapes)
            yield port


def _await_scrapes(port: int, ports: Sequence[int], scrapes: int) -> None:
    asked = quote("count_over_time(node_uname_info[5m])")
    for _ in range(600):
        answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/query?query={asked}")
        rows = answer.json()["data"]["result"] if answer.status_code == 200 else []
        if len(rows) == len(ports) and all(int(r["value"][1]) >= scrapes for r in rows):
            return
        time.sleep(0.1)
    raise AssertionError("Prometheus has not scraped")
