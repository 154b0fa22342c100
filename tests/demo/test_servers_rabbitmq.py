"""The launcher of RabbitMQ."""

import http.client

import psutil
import pytest

from scaledoctor.demo.servers import ServerFailed, rabbitmq
from tests.servers import needs_servers

pytestmark = pytest.mark.live


def test_it_runs_as_another_account_and_leaves_nothing() -> None:
    """The management API answers, settings hold, and every process of it is gone at the end."""
    with needs_servers(), rabbitmq({"vm_memory_high_watermark.absolute": "300MB"}) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.api_port, timeout=10)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()
        limit = server.ctl("eval", "vm_memory_monitor:get_memory_limit().")
        assert limit.strip() == "300000000"
        leader = psutil.Process(server.pid)
        family = [leader, *leader.children(recursive=True)]
        assert all(process.uids().real != 0 for process in family)
        assert any("beam" in process.name() for process in family)
    assert not server.folder.exists()
    gone, alive = psutil.wait_procs(family, timeout=10)
    left = [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]
    assert left == []
    assert gone


def test_a_wrong_setting_is_told() -> None:
    wrong = rabbitmq({"no.such.setting": "1"})
    with (
        needs_servers(),
        pytest.raises(ServerFailed, match="failed_to_prepare_configuration"),
        wrong,
    ):
        pass
