"""The launcher of HAProxy, with the system's program and the wheel's."""

import http.client
import sys
from pathlib import Path

import psutil
import pytest

from scaledoctor.demo.servers import (
    ServerFailed,
    ServerMissing,
    balancer_cfg,
    find_haproxy,
    haproxy,
)

pytestmark = pytest.mark.live

CFG = balancer_cfg({"app": ("server s1 127.0.0.1:9",), "shop": ("server s2 127.0.0.1:9",)})


def asked(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("binary", find_haproxy(), ids=lambda path: path.parent.parent.name)
def test_it_balances_and_shows_its_stats_as_another_account(binary: Path) -> None:
    """Routes by path, answers on the stats page, and is gone with its folder at the end."""
    with haproxy(CFG, binary=binary) as balancer:
        process = psutil.Process(balancer.pid)
        assert process.uids().real != 0
        assert asked(balancer.port, "/shop/1")[0] == 503
        page = asked(balancer.stats_port, "/stats;csv")[1]
        counted = {tuple(line.split(",")[:2]): line.split(",")[13] for line in page.splitlines()}
        assert counted[("shop", "BACKEND")] != "0"
        assert counted[("app", "BACKEND")] == "0"
        assert balancer.socket.is_socket()
    assert not balancer.cfg.parent.exists()
    assert not psutil.pid_exists(balancer.pid) or not process.is_running()


def test_a_wrong_configuration_is_told_with_its_line() -> None:
    if not find_haproxy():
        pytest.skip("haproxy is not installed")
    wrong = haproxy(balancer_cfg({"app": ("balanced",)}))
    with (
        pytest.raises(ServerFailed, match=r"haproxy\.cfg:\d+\].*unknown keyword 'balanced'"),
        wrong,
    ):
        pass


def test_no_program_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["scaledoctor.demo.servers.haproxy"]  # the function has its name
    monkeypatch.setattr(module, "find_haproxy", list)
    with pytest.raises(ServerMissing, match="apt-get install haproxy"), haproxy(CFG):
        pass
