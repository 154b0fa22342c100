"""The probe against a real server on loopback: what it asks, when it stops, what it never does."""

import asyncio
import time
from collections.abc import Coroutine, Mapping
from contextlib import AbstractContextManager
from typing import Any

import pytest

from scaledoctor.collect import collect
from scaledoctor.examine import examine
from scaledoctor.redact import Redactor
from scaledoctor.registry import load
from scaledoctor.sdk import Target, Unavailable, Unreachable
from scaledoctor.snapshot import dumps
from scaledoctor.sources import _pace, http
from scaledoctor.sources._fetch import MOST_BODY
from scaledoctor.sources.http import Replies
from scaledoctor.targets import targets
from tests.sources.pages import Answer, Asked, Site, site

pytestmark = pytest.mark.live


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between requests: what is tested is not the pace."""
    monkeypatch.setattr(_pace, "APART", 0.0)


def target(url: str) -> Target:
    return next(t for t in targets({"url": [url]}, {}) if t.kind == "url")


async def probed(url: str, ticks: int = 30) -> Replies:
    """Open the page and ask as often as the engine would in so many ticks."""
    async with http.url.function(target(url), Redactor()) as session:
        seen = await http.probing(session)
        for _ in range(ticks - 1):
            seen = await http.probing(session)
        return await http.replies(session, seen)


def run(coroutine: Coroutine[Any, Any, Replies]) -> Replies:
    return asyncio.run(coroutine)


def always(answer: Answer) -> AbstractContextManager[Site]:
    return site(lambda asked, number: answer)


@pytest.mark.usefixtures("hurried")
def test_a_healthy_page_is_asked_twenty_times_and_no_more() -> None:
    """Only GET, only this URL, as scaledoctor; every fifth time on a new connection."""
    with always(Answer()) as page:
        found = run(probed(page.url("/shop/17?token=s3cret"), 60))
    assert len(page.asked) == len(found.replies) == _pace.MOST
    assert {(a.method, a.path) for a in page.asked} == {("GET", "/shop/17?token=s3cret")}
    assert {a.headers["user-agent"] for a in page.asked} == {"scaledoctor"}
    assert len({a.port for a in page.asked}) == 5
    assert [i for i, r in enumerate(found.replies, 1) if r.fresh] == [1, 5, 10, 15, 20]
    assert all((r.connect is not None) is r.fresh for r in found.replies)
    assert all(r.status == 200 and 0 < r.first_byte <= r.seconds for r in found.replies)
    assert found.path == "/shop/:id"
    assert "s3cret" not in repr(found)


def test_requests_never_start_less_than_a_quarter_second_apart() -> None:
    """Of all URLs and hosts of a scan together; who would wait too long is turned away."""

    async def turns() -> list[float]:
        pace, began = _pace.pace(), time.monotonic()
        assert pace is _pace.pace()
        taken: list[float] = []
        for _ in range(5):
            assert await pace.turn()
            taken.append(time.monotonic() - began)
        first, second, third = await asyncio.gather(pace.turn(), pace.turn(), pace.turn(0.0))
        assert not third or not (first and second)
        return taken

    taken = asyncio.run(turns())
    assert all(at >= number * _pace.APART for number, at in enumerate(taken))


def test_the_limits_are_what_the_documentation_says() -> None:
    """Twenty requests, four a second; neither is an option of anything."""
    assert (_pace.MOST, _pace.APART) == (20, 0.25)
    assert not http.probing.signature.options
    assert not http.replies.signature.options


@pytest.mark.usefixtures("hurried")
def test_many_urls_of_one_host_share_its_twenty() -> None:
    async def all_of(page: Site) -> None:
        await asyncio.gather(
            *(probed(page.url(f"/{name}")) for name in "abcdefgh"), return_exceptions=True
        )

    with always(Answer()) as page:
        asyncio.run(all_of(page))
    assert len(page.asked) == _pace.MOST
    assert {a.path for a in page.asked} == {f"/{name}" for name in "abcdefgh"}


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (429, {"Retry-After": "30"}, "the server asked us to stop (HTTP 429, back in 30 s)"),
        (429, {}, "the server asked us to stop (HTTP 429)"),
        (503, {"Retry-After": "5"}, "the server asked us to stop (HTTP 503, back in 5 s)"),
    ],
)
def test_a_server_that_asks_us_to_stop_is_obeyed(
    status: int, headers: Mapping[str, str], words: str
) -> None:
    with site(lambda a, n: Answer(status, dict(headers)) if n == 4 else Answer()) as page:
        found = run(probed(page.url()))
    assert len(page.asked) == 4
    assert found.stopped == words
    assert found.replies[-1].refused
    assert not found.replies[0].refused


@pytest.mark.usefixtures("hurried")
def test_the_first_answer_may_be_the_last() -> None:
    with always(Answer(429, {"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"})) as page:
        found = run(probed(page.url()))
    assert len(page.asked) == 1
    assert (found.replies[0].retry_after or 0) > 1e6


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("answer", [Answer(500), Answer(0)])
def test_five_failures_in_a_row_are_enough(answer: Answer) -> None:
    """An error each time, or a connection that is cut each time."""
    with site(lambda a, n: Answer() if n == 1 else answer) as page:
        found = run(probed(page.url()))
    assert found.stopped == "5 failures in a row"
    assert sum(r.failed for r in found.replies) == 5
    assert len(found.replies) == 6


@pytest.mark.usefixtures("hurried")
def test_errors_now_and_then_are_no_reason_to_stop() -> None:
    with site(lambda a, n: Answer(502) if n % 3 == 0 else Answer()) as page:
        found = run(probed(page.url()))
    assert sum(r.failed for r in found.replies) == 6
    assert found.stopped == ""


@pytest.mark.usefixtures("hurried")
def test_connection_close_is_seen() -> None:
    with always(Answer(headers={"Connection": "close"})) as page:
        found = run(probed(page.url(), 9))
    kept = [r for r in found.replies if not r.fresh]
    assert all(r.connect is not None for r in kept)
    assert sum(r.closed for r in kept) == 5  # the 4th and the 9th we wanted closed ourselves


@pytest.mark.usefixtures("hurried")
def test_cookies_of_the_first_answer_are_sent_every_second_time() -> None:
    """A client with the cookie stays at one server, one without it goes round."""

    def balanced(asked: Asked, number: int) -> Answer:
        cookie = asked.headers.get("cookie", "")
        server = cookie.partition("=")[2] or f"s{number % 3}"
        return Answer(headers={"Set-Cookie": f"SERVERID={server}; Path=/", "X-Served-By": server})

    with site(balanced) as page:
        found = run(probed(page.url()))
    sent = [a.headers.get("cookie") for a in page.asked]
    assert sent[0] is None
    assert set(sent) == {None, "SERVERID=s1"}
    assert sent.count(None) == 10
    assert len({r.instance for r in found.replies if r.cookie}) == 1
    assert len({r.instance for r in found.replies if not r.cookie}) == 3
    assert found.page is not None
    assert found.page.sticky == ("SERVERID",)


@pytest.mark.usefixtures("hurried")
def test_the_tag_is_tried_once() -> None:
    def tagged(asked: Asked, number: int) -> Answer:
        known = asked.headers.get("if-none-match") == '"v1"'
        return Answer(304 if known else 200, {"ETag": '"v1"'}, b"" if known else b"page")

    with site(tagged) as page:
        found = run(probed(page.url()))
    assert [r.status for r in found.replies if r.conditional] == [304]
    assert [r.status for r in found.replies if not r.conditional] == [200] * 19


@pytest.mark.usefixtures("hurried")
def test_of_a_large_body_a_quarter_megabyte_is_read() -> None:
    """And nothing is unpacked: a bomb stays packed."""
    with always(Answer(body=b"x" * 3_000_000, headers={"Content-Encoding": "gzip"})) as page:
        found = run(probed(page.url(), 3))
    assert all(MOST_BODY < r.size <= MOST_BODY + 2**16 for r in found.replies)
    assert all(r.status == 200 and r.body == "" for r in found.replies)
    assert all(r.fresh for r in found.replies)  # we left the connections, not the server


@pytest.mark.usefixtures("hurried")
def test_a_slow_page_is_waited_for_three_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here less, so that the test is short."""
    monkeypatch.setattr("scaledoctor.sources._http.SECONDS", 0.5)
    with site(lambda a, n: Answer(wait=0.2 if n == 1 else 2.0)) as page:
        found = run(probed(page.url(), 1))
    assert 0.2 <= found.replies[0].first_byte < 0.5
    assert found.replies[1].status == 0
    assert found.replies[1].error.startswith("no answer within")
    assert found.replies[1].seconds >= 0.5


@pytest.mark.usefixtures("hurried")
def test_redirects_within_the_server_are_followed_once_for_all() -> None:
    def moved(asked: Asked, number: int) -> Answer:
        return Answer(302, {"Location": "/home"}) if asked.path == "/" else Answer()

    with site(moved) as page:
        found = run(probed(page.url(), 5))
    assert [a.path for a in page.asked] == ["/", *["/home"] * 6]
    assert found.path == "/home"
    assert len(found.replies) == 6


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("location", ["//other.example/", "https://127.0.0.1/"])
def test_redirects_to_elsewhere_are_not_followed(location: str) -> None:
    with (
        always(Answer(302, {"Location": location})) as page,
        pytest.raises(Unreachable, match="redirected to"),
    ):
        run(probed(page.url()))
    assert len(page.asked) == 1


@pytest.mark.usefixtures("hurried")
def test_a_redirect_to_what_is_no_url() -> None:
    with (
        always(Answer(302, {"Location": "http://[::1"})) as page,
        pytest.raises(Unreachable, match="Invalid URL in location header"),
    ):
        run(probed(page.url()))


@pytest.mark.usefixtures("hurried")
def test_another_port_of_the_same_host_is_elsewhere() -> None:
    with (
        always(Answer()) as other,
        always(Answer(302, {"Location": other.url("/admin")})) as page,
        pytest.raises(Unreachable, match="another server"),
    ):
        run(probed(page.url()))
    assert not other.asked


@pytest.mark.usefixtures("hurried")
def test_a_ring_of_redirects_ends() -> None:
    with (
        always(Answer(302, {"Location": "/again"})) as page,
        pytest.raises(Unreachable, match="more than 3 times"),
    ):
        run(probed(page.url()))
    assert len(page.asked) == 4


@pytest.mark.usefixtures("hurried")
def test_a_password_of_the_url_is_sent_and_kept_nowhere() -> None:
    with always(Answer()) as page:
        url = f"http://me:s3cret@127.0.0.1:{page.port}/"
        found = run(probed(url, 2))
    assert all(a.headers["authorization"].startswith("Basic ") for a in page.asked)
    assert "s3cret" not in repr(found)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, Unreachable, "refused with HTTP 401"),
        (403, Unreachable, "refused with HTTP 403"),
        (404, Unavailable, "it answers HTTP 404"),
    ],
)
def test_a_page_that_is_not_for_us(status: int, error: type[Exception], words: str) -> None:
    with always(Answer(status)) as page, pytest.raises(error, match=words):
        run(probed(page.url()))
    assert len(page.asked) == 1


def test_nobody_there() -> None:
    with always(Answer()) as page:
        url = page.url()
    with pytest.raises(Unreachable) as told:
        run(probed(url))
    assert (told.value.category, told.value.message) == ("refused", "nothing listens there")


def test_no_tls_there() -> None:
    with always(Answer()) as page, pytest.raises(Unreachable) as told:
        run(probed(page.url().replace("http://", "https://")))
    assert (told.value.category, told.value.enable) == ("tls", "use http:// here")


def test_what_speaks_no_http_is_told() -> None:
    async def rude() -> Replies:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"220 smtp.example ESMTP\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await probed(f"http://127.0.0.1:{port}/", 1)

    with pytest.raises(Unreachable, match="does not speak HTTP"):
        run(rude())


def test_who_would_have_to_wait_too_long_is_turned_away() -> None:
    """As the thirteenth of many hosts is: twelve turns are three seconds."""

    async def late(url: str) -> Replies:
        _pace.pace().next = time.monotonic() + 12
        return await probed(url)

    with (
        always(Answer()) as page,
        pytest.raises(Unavailable, match="not asked: too much was asked for other URLs"),
    ):
        run(late(page.url()))
    assert not page.asked


def test_a_slow_page_does_not_hold_up_a_fast_one() -> None:
    """Both of one host, in one window."""
    with site(lambda a, n: Answer(wait=0.9 if a.path == "/slow" else 0.0)) as page:
        given = targets({"url": [page.url("/slow"), page.url("/fast")]}, {})
        snapshot = collect(given[1:], load(), Redactor(), 2.0)
    asked = [a.path for a in page.asked]
    assert asked.count("/fast") >= 3
    assert asked.count("/slow") >= 2
    assert not any(record.failures for record in snapshot.records)


def test_a_healthy_page_has_no_findings() -> None:
    """Over the real window, packed and cacheable, kept connections, one server."""
    headers = {"Cache-Control": "public, max-age=60", "Content-Encoding": "gzip"}
    with always(Answer(headers=headers, body=b"x" * 20_000)) as page:
        registry = load()
        snapshot = collect(targets({"url": [page.url()]}, {})[1:], registry, Redactor(), 3.0)
    seen = examine(snapshot, registry)
    assert seen.findings == []
    assert not seen.failures
    assert {i for i in seen.quiet if i.startswith("http.")} == {
        "http.errors", "http.slow", "http.rate-limited", "http.no-reuse", "http.sticky-cookie",
        "http.uncached", "http.cookie-on-cacheable", "http.uncompressed",
    }  # fmt: skip


def test_a_bad_page_is_told_as_it_is() -> None:
    """Connections that are closed, a sticky cookie, text unpacked, and made anew each time."""
    headers = {"Connection": "close", "Set-Cookie": "SERVERID=s1", "Content-Type": "text/html"}
    with always(Answer(headers=headers, body=b"x" * 20_000)) as page:
        registry = load()
        snapshot = collect(targets({"url": [page.url()]}, {})[1:], registry, Redactor(), 4.0)
    found = {f.check for f in examine(snapshot, registry).findings}
    assert {"http.no-reuse", "http.sticky-cookie", "http.uncompressed"} <= found


def test_through_the_engine() -> None:
    """One window of the real collection: the pace, the costs, and a snapshot without secrets."""
    with always(Answer(headers={"Set-Cookie": "sid=s3cret"})) as page:
        given = targets({"url": [page.url("/u/12?key=s3cret")]}, {})
        snapshot = collect(given, load(), Redactor(), 1.5)
    (record,) = [r for r in snapshot.records if r.kind == "url"]
    assert record.reach.ok
    assert not record.failures
    found = record.samples["Replies"][-1][1]
    assert 2 <= len(found.replies) <= 5
    assert len(page.asked) == len(found.replies)
    assert b"s3cret" not in dumps(snapshot)
