"""Client load on the shop."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from scaledoctor.demo.clients import drawn
from scaledoctor.demo.load import run_load, start_load
from scaledoctor.demo.servers import PostgresServer
from scaledoctor.demo.servers.child import free_port
from scaledoctor.demo.shop import Names, Shop, shop

SMALL = replace(Names.from_seed(4), customer_rows=200, product_rows=50, order_rows=2_000)


@pytest.fixture(scope="module")
def running(pg18: PostgresServer) -> Iterator[Shop]:
    """A small shop."""
    with shop(pg18, SMALL) as small:
        yield small


@pytest.mark.live
def test_a_healthy_shop_answers_every_request(running: Shop) -> None:
    """The figures of a result agree with each other, and nothing fails."""
    result = run_load(running.url, clients=4, seconds=2, think_ms=20, mix=SMALL.mix(), seed=1)
    assert result.ok > 20
    assert result.errors == {}
    assert result.throughput == result.ok / 2
    assert len(result.per_second) == 2
    assert sum(result.per_second) == result.ok
    assert 0 < result.p50_ms <= result.p95_ms <= result.p99_ms


@pytest.mark.live
def test_errors_are_counted_by_status_and_not_as_throughput(running: Shop) -> None:
    """A route that is not there is an error; the other route's replies still count."""
    mix = {"GET /health": 1.0, "GET /nope/{9}": 1.0}
    result = run_load(running.url, clients=2, seconds=1, think_ms=10, mix=mix)
    assert set(result.errors) == {"404"}
    assert result.errors["404"] > 0
    assert result.ok > 0


@pytest.mark.live
def test_refused_connections_are_errors() -> None:
    """With nobody listening there is no throughput and no latency, but a count of refusals."""
    url = f"http://127.0.0.1:{free_port()}"
    result = run_load(url, clients=2, seconds=0.5, think_ms=10, mix={"GET /": 1.0})
    assert set(result.errors) == {"refused"}
    assert (result.ok, result.throughput, result.p99_ms) == (0, 0.0, 0.0)


@pytest.mark.live
def test_a_background_load_shows_its_throughput_and_ends_with_the_block(running: Shop) -> None:
    """While it runs, throughput since a moment is known; leaving the block stops it."""
    with start_load(running.url, clients=2, seconds=60, think_ms=10, mix=SMALL.mix()) as load:
        since = time.monotonic()
        assert load.throughput(since) == 0.0
        deadline = since + 10
        while load.throughput(since) == 0.0 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert load.throughput(since) > 0
        assert load.child.alive()
    assert not load.child.alive()


def test_requests_follow_the_mix_and_the_seed() -> None:
    """Numbers stay in their bounds, weights show, and the same seed asks the same."""
    mix = {"GET /a/{3}": 3.0, "POST /b?x={2}&y=1": 1.0}
    asked = [drawn(mix, draw) for draw in [random.Random(7)] for _ in range(400)]
    again = [drawn(mix, draw) for draw in [random.Random(7)] for _ in range(400)]
    assert asked == again
    counts = Counter(asked)
    assert set(counts) == {
        *(("GET", f"/a/{number}") for number in (1, 2, 3)),
        *(("POST", f"/b?x={number}&y=1") for number in (1, 2)),
    }
    assert 240 < sum(1 for method, _ in asked if method == "GET") < 360
