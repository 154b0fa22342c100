"""The workers of the shop's queue, as a process of the demo starts them."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis as client

from scaledoctor.demo import worker
from scaledoctor.demo.servers import PostgresServer, redis
from scaledoctor.demo.servers.child import child
from tests.servers import needs_servers

pytestmark = pytest.mark.live


def test_every_job_is_done_once_and_nothing_is_left_behind(
    pg18: PostgresServer, tmp_path: Path
) -> None:
    """SIGTERM lets each end its job; then no consumer and no pending message is left."""
    count = "UPDATE done SET times = times + 1 WHERE id = %s"
    with psycopg.connect(pg18.dsn(), autocommit=True) as admin:
        admin.execute("DROP TABLE IF EXISTS done")
        admin.execute(
            "CREATE TABLE done AS SELECT i AS id, 0 AS times FROM generate_series(1, 40) i"
        )
        with needs_servers(), redis() as server, client.Redis(port=server.port) as r:
            r.xgroup_create("jobs", "crew", id="0", mkstream=True)
            for order in range(1, 41):
                r.xadd("jobs", {"order": order})
            plan = {"port": server.port, "stream": "jobs", "group": "crew", "dsn": pg18.dsn(),
                    "update": count, "threads": 4, "seconds": 0.02}  # fmt: skip
            command = (sys.executable, "-P", worker.__file__, "consume", json.dumps(plan))
            log = tmp_path / "log"
            started = child(command, folder=tmp_path, ready=lambda: b"ready" in log.read_bytes())
            with started as process:
                deadline = time.monotonic() + 30
                groups: Any = r.xinfo_groups("jobs")
                while groups[0]["lag"] and process.alive() and time.monotonic() < deadline:
                    time.sleep(0.02)
                    groups = r.xinfo_groups("jobs")
            groups = r.xinfo_groups("jobs")
            assert (groups[0]["consumers"], groups[0]["pending"], groups[0]["lag"]) == (0, 0, 0)
        times = admin.execute("SELECT DISTINCT times FROM done").fetchall()
        admin.execute("DROP TABLE done")
    assert times == [(1,)]
