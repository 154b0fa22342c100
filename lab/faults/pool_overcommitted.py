"""The pools together are larger than PostgreSQL: it refuses what the pooler promised."""

from collections.abc import Iterator
from contextlib import contextmanager

from lab.programs import WORKER
from lab.tiers import all_tiers
from scaledoctor.demo.fault import Fault
from scaledoctor.demo.faults.connection_leak import RESERVED
from scaledoctor.demo.stage import Stage

SLOTS = 40
SIZE = 12


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """After a quiet time three programs fill their pools with statements that wait.

    The shop's pool, whose idle servers were closed, gets what is left. A reserved
    slot is left for the scan where that exists.
    """
    names, pooler = stage.names, stage.tiers.pooler
    assert pooler is not None
    if stage.server.major >= RESERVED:
        stage.sql(f"GRANT pg_use_reserved_connections TO {names.role_scan}")
    stage.dwindled(names.role_web, 0, 30.0)
    others = {
        names.role_reports: names.app_reports,
        names.role_worker: names.app_worker,
        names.role_analytics: names.app_analytics,
    }
    for role, application in others.items():
        stage.work(
            "busy",
            program=WORKER,
            dsn=pooler.dsn(role, names.database, application_name=application),
            query="SELECT pg_sleep(0.5)",
            threads=SIZE,
        )
    yield


FAULT = Fault(
    name="pool-overcommitted",
    story="four pools of 12 stand before a server of 40 slots, and three of them fill up",
    inject=inject,
    checks=(
        "pgbouncer.starved",
        "pgbouncer.over-commit",
    ),
    subject=lambda names: f"{names.database}/",
    symptoms=("postgres.connection-hog",),
    topology=all_tiers({"default_pool_size": SIZE, "server_idle_timeout": 2}),
    settings={"max_connections": SLOTS, "reserved_connections": 2},
    bar=None,
)
