"""stub_status of a real nginx, and what is none of it."""

from collections.abc import Iterator

import pytest

from scaledoctor.errors import Unavailable, Unreachable
from scaledoctor.sources.nginx import ENABLE, NginxServer, _read
from scaledoctor.sources.nginx import nginx as nginx_source
from tests.balancers import Nginx, nginx, reached, scan

TENGINE = """Active connections: 12
server accepts handled requests request_time
 1450 1449 4611 187213
Reading: 1 Writing: 3 Waiting: 8
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Nginx]:
    """One for all tests here: leave it as it is."""
    with nginx("server_tokens on; server { listen @PORT@; location / { return 200 ok; } }") as up:
        yield up


def greet(url: str) -> object:
    return reached(nginx_source.function, "nginx", url)


def test_every_column_is_read_and_further_ones_are_left_out() -> None:
    status = _read(TENGINE)
    assert (status.active, status.accepts, status.handled, status.requests) == (
        12,
        1450,
        1449,
        4611,
    )
    assert (status.reading, status.writing, status.waiting, status.dropped) == (1, 3, 8, 1)


@pytest.mark.parametrize(
    ("version", "newer"),
    [("1.29.6", False), ("1.29.7", True), ("1.30.0", True), ("1.9.15", False), ("", None)],
)
def test_versions_are_compared_by_number(version: str, newer: bool | None) -> None:
    assert NginxServer("nginx", version).at_least(1, 29, 7) is newer


@pytest.mark.live
def test_a_scan_reads_the_page_and_the_version(server: Nginx) -> None:
    seen = scan(1.0, nginx=server.status_url)
    assert not seen.reasons()
    assert seen.fact("NginxServer").version.startswith("1.")
    samples = seen.snapshot.records[0].samples["NginxStatus"]
    assert len(samples) >= 2
    assert samples[-1][1].requests > samples[0][1].requests
    assert samples[-1][1].active >= 1


@pytest.mark.live
def test_a_hidden_version_is_unknown() -> None:
    with nginx("server_tokens off;") as hidden:
        assert scan(0, nginx=hidden.status_url).fact("NginxServer") == NginxServer("nginx", "")


@pytest.mark.live
def test_another_page_says_how_to_turn_this_one_on(server: Nginx) -> None:
    for url in (f"http://127.0.0.1:{server.port}/", f"http://127.0.0.1:{server.status_port}/none"):
        with pytest.raises(Unavailable) as no:
            greet(url)
        assert no.value.enable == ENABLE
    assert no.value.reason == "/none answers HTTP 404"


@pytest.mark.live
def test_a_forbidden_page_is_a_refusal() -> None:
    with nginx("", status="location = /stub_status { stub_status; deny all; }") as closed:
        with pytest.raises(Unreachable) as no:
            greet(closed.status_url)
        assert no.value.category == "auth"


def test_nobody_there_is_a_refusal() -> None:
    with pytest.raises(Unreachable) as no:
        greet("http://127.0.0.1:9/stub_status")
    assert no.value.category == "refused"
