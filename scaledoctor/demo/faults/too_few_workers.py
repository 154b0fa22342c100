"""More jobs come than the workers that are left can do."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from scaledoctor.demo.fault import Fault, Pace
from scaledoctor.demo.servers.child import Child
from scaledoctor.demo.shop import Names
from scaledoctor.demo.stage import Stage
from scaledoctor.demo.topology import Topology

WORKERS = 12
"""At four jobs a second each, half as many again as the orders need."""

SECONDS = 0.25
"""Of a job: the mail server's time, and no processor's."""


def start(stage: Stage, workers: int) -> Child:
    """Start so many workers, in one process."""
    names = stage.names
    assert stage.tiers.queue is not None
    return stage.work(
        "consume",
        port=stage.tiers.queue.port,
        stream=names.jobs,
        group=names.app_worker,
        dsn=stage.shop.dsn_as(names.role_worker, names.app_worker),
        update=f"UPDATE {names.table(names.orders)} SET status = 'sent' WHERE id = %s",
        threads=workers,
        seconds=SECONDS,
    )


def prepare(stage: Stage) -> None:
    """Make the queue, and start all of its workers."""
    group(stage)
    start(stage, WORKERS)
    stage.more = lambda workers: start(stage, workers)


def group(stage: Stage) -> None:
    """The stream of jobs, with the group that its workers are."""
    import redis

    assert stage.tiers.queue is not None
    with redis.Redis(port=stage.tiers.queue.port) as queue:
        queue.xgroup_create(stage.names.jobs, stage.names.app_worker, id="0", mkstream=True)


def waiting(stage: Stage) -> int:
    """Jobs that no worker has taken yet."""
    import redis

    assert stage.tiers.queue is not None
    with redis.Redis(port=stage.tiers.queue.port) as queue:
        groups = queue.xinfo_groups(stage.names.jobs)
    assert isinstance(groups, list)
    return int(groups[0]["lag"])


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Stop the workers in order, as a deployment does, and start one."""
    for child in stage.children.values():
        child.process.send_signal(signal.SIGTERM)
        child.process.wait(10)
    start(stage, 1)
    yield


def mix(names: Names) -> Mapping[str, float]:
    """Most requests look, some order."""
    return {
        f"GET /product/{{{names.product_rows}}}": 80,
        f"POST /order?customer={{{names.customer_rows}}}&product={{{names.product_rows}}}": 20,
    }


FAULT = Fault(
    name="too-few-workers",
    story=f"a deployment brings back one of the {WORKERS} workers that send mails",
    inject=inject,
    checks=("queue.backlog",),
    subject=lambda names: f"{names.jobs}/{names.app_worker}",
    symptoms=("queue.latency",),
    topology=Topology(queue=()),
    prepare=prepare,
    pace=Pace(clients=8, think_ms=50.0, mix=mix),
    settle=6.0,
    window=12.0,
    hurts=None,
    waiting=waiting,
)
