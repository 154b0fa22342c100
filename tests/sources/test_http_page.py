"""Headers: what is kept of them, and what must not be."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from scaledoctor.sources._page import digest, instance, page, retry_after


def test_a_page_that_says_much() -> None:
    headers = {
        "content-type": "text/HTML; charset=utf-8", "content-encoding": "gzip",
        "cache-control": 'public, max-age=60, s-maxage="300", secret=abc', "age": "12",
        "etag": '"v1"', "vary": "Accept-Encoding, Cookie", "cf-ray": "8a1-FRA",
    }  # fmt: skip
    found = page(headers, {"sid": "s3cret", "SERVERID": "web7"})
    assert (found.kind, found.encoding, found.cdn) == ("text/html", "gzip", "Cloudflare")
    assert (found.directives, found.fresh_for, found.age) == (("public",), 300.0, 12.0)
    assert found.vary == ("accept-encoding", "cookie")
    assert (found.cookies, found.sticky) == (("SERVERID", "sid"), ("SERVERID",))
    assert found.tagged
    for secret in ("s3cret", "web7", "v1", "8a1", "abc"):
        assert secret not in repr(found)


def test_a_page_that_says_nothing() -> None:
    found = page({}, {})
    assert (found.kind, found.directives, found.fresh_for, found.age) == ("", (), None, None)
    assert not found.tagged
    assert found.cdn == ""


def test_hostile_headers_are_cut_and_plain() -> None:
    found = page(
        {"content-type": "\x1b[31m<b>" + "x" * 999, "cache-control": "max-age=-1, max-age=1e9",
         "age": "9" * 99, "vary": ",".join(["\x07"] * 99)},
        {"\x1b]0;x\x07" + "n" * 99: None, **{f"c{i}": "v" for i in range(99)}},
    )  # fmt: skip
    assert repr(found).isprintable()
    assert len(repr(found)) < 2000
    assert found.fresh_for is None
    assert found.age is None


@pytest.mark.parametrize(
    ("name", "value", "pins"),
    [
        ("AWSALB", "x", True), ("SERVERID", "s1", True), ("BIGipServer~web", "1", True),
        ("_1d52e", "x", True), ("route", "x", True), ("INGRESSCOOKIE", "1", True),
        ("JSESSIONID", "0123456789ABCDEF.node1", True), ("JSESSIONID", "0123456789ABCDEF", False),
        ("sessionid", "x.node1", False), ("csrftoken", "x", False), ("_ga", "x", False),
        ("router", "x", False),
    ],
)  # fmt: skip
def test_cookies_that_pin(name: str, value: str, pins: bool) -> None:
    assert bool(page({}, {name: value}).sticky) is pins


def test_servers_are_told_apart_and_not_named() -> None:
    one, two = instance({"x-served-by": "web-7"}), instance({"x-served-by": "web-8"})
    assert one != two
    assert len(one) == 8
    assert "web" not in one
    assert instance({"content-type": "text/html"}) == ""
    assert digest(b"") != digest(b"x")


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30.0), (" 0 ", 0.0), ("", None), ("soon", None), ("-5", None)]
)
def test_retry_after_in_seconds(text: str, seconds: float | None) -> None:
    assert retry_after(text) == seconds


def test_retry_after_as_a_date() -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    assert retry_after(format_datetime(later, usegmt=True)) == pytest.approx(3600, abs=60)
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
