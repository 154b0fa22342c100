"""The applications whose workers the tests start; QUEUE_URL says where their queues are."""

import os
import time
from typing import Any

import dramatiq
import psycopg
from celery import Celery  # type: ignore[import-untyped]  # has no hints
from dramatiq.brokers.redis import RedisBroker
from huey import RedisHuey  # type: ignore[import-untyped]  # has no hints

URL = os.environ.get("QUEUE_URL", "redis://127.0.0.1:1/0")


def nap(seconds: float) -> None:
    """A job that takes its time."""
    time.sleep(seconds)


def fail() -> None:
    """A job that never succeeds."""
    raise ValueError("it was to fail")


def take_stock(dsn: str) -> None:
    """A job that changes a row of PostgreSQL, after whoever else does."""
    with psycopg.connect(dsn, application_name="shop-worker") as connection:
        connection.execute("UPDATE stock SET n = n - 1 WHERE id = 1")


celery = Celery("tests.queues.apps", broker=URL)
celery.conf.update(
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=int(os.environ.get("PREFETCH", "4")),
    task_ignore_result=True,
)


@celery.task  # type: ignore[untyped-decorator]  # likewise
def celery_nap(seconds: float) -> None:
    """Takes its time."""
    time.sleep(seconds)


_broker: Any = RedisBroker  # only half of it has hints
broker = _broker(url=URL)
dramatiq.set_broker(broker)


@dramatiq.actor
def dramatiq_nap(seconds: float) -> None:
    """Takes its time."""
    time.sleep(seconds)


@dramatiq.actor(max_retries=0)
def dramatiq_fail() -> None:
    """Never succeeds."""
    raise ValueError("it was to fail")


huey = RedisHuey("shop", url=URL)


@huey.task()  # type: ignore[untyped-decorator]  # likewise
def huey_nap(seconds: float) -> None:
    """Takes its time."""
    time.sleep(seconds)
