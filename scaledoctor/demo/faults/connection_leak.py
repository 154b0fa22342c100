"""A service opens connections and never closes them."""

from collections.abc import Iterator
from contextlib import contextmanager

from scaledoctor.demo.fault import Fault
from scaledoctor.demo.stage import Stage

PATIENCE = 40.0
"""Seconds at most; under load the shop renews each connection after 4 s and loses most races."""

RESERVED = 16
"""The version from which a slot can be reserved for the scan; before, it is refused like all."""


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Leak until every slot is gone; a reserved one is left for the scan where that exists."""
    if stage.server.major >= RESERVED:
        stage.sql(f"GRANT pg_use_reserved_connections TO {stage.names.role_scan}")
    leak(stage)
    yield


def leak(stage: Stage) -> None:
    """Start the leaking service, and wait until it has taken the shop's own slots too.

    Under load, because a pool drops an old connection only when it is used. Many threads, to win
    each slot that the shop's pool renews; as long as the shop keeps a single one it serves almost
    all of its traffic.
    """
    dsn = stage.shop.dsn_as(stage.names.role_reports, stage.names.app_reports)
    with stage.loaded(PATIENCE):
        stage.work("leak", dsn=dsn, threads=4, pause=0.005)
        stage.dwindled(stage.names.role_web, 0, PATIENCE)


FAULT = Fault(
    name="connection-leak",
    story="the reports service opens a connection for every report and never closes it",
    inject=inject,
    checks=("postgres.connection-hog", "postgres.connections-refused"),
    subject=lambda names: names.app_reports,
    settings={"max_connections": 40, "reserved_connections": 2},
)
