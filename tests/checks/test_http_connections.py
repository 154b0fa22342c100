"""Connections and caches of a page: each check at its edges."""

from typing import Any

import pytest

from scaledoctor.sdk import Finding, Kind, Severity, Unavailable
from scaledoctor.sources._fetch import Reply
from scaledoctor_checks.app.http_caching import cookie_on_cacheable, uncached, uncompressed
from scaledoctor_checks.app.http_connections import no_reuse, sticky_cookie
from tests.checks.http_facts import healthy, page, replies, reply

ALL = [no_reuse, sticky_cookie, uncached, cookie_on_cacheable, uncompressed]


def only(findings: Any) -> Finding:
    (finding,) = findings
    assert isinstance(finding, Finding)
    return finding


@pytest.mark.parametrize("check", ALL)
def test_a_healthy_page_is_quiet(check: Any) -> None:
    assert not list(check(replies(healthy())))
    cached = page(directives=("public",), fresh_for=60.0, age=12.0, tagged=True)
    same = [reply(first_byte=0.2, cookie=i % 2 == 1) for i in range(20)]
    assert not list(check(replies(same, cached)))


def anew(count: int, kept: int = 0, connect: float = 0.001, **changes: Any) -> list[Reply]:
    """One that had to connect, as the first always has, then so many that should not have."""
    first = reply(connect=connect, fresh=True)
    return [first, *[reply(connect=connect, closed=True, **changes)] * count, *[reply()] * kept]


@pytest.mark.parametrize(
    ("answers", "fires"),
    [(anew(4), False), (anew(5), True), (anew(9, 1), True), (anew(8, 1), False)],
)
def test_nine_of_ten_of_at_least_five_connect_anew(answers: list[Reply], fires: bool) -> None:
    found = list(no_reuse(replies(answers)))
    assert [f.severity for f in found] == ([Severity.LOW] if fires else [])


def test_connections_that_we_wanted_do_not_count() -> None:
    assert not list(no_reuse(replies([reply(fresh=True, connect=0.001)] * 20)))


@pytest.mark.parametrize(("tls", "severity"), [(0.0, Severity.LOW), (0.0057, Severity.MEDIUM)])
def test_connecting_for_a_quarter_of_the_time_is_medium(tls: float, severity: Severity) -> None:
    """1 ms and TLS against 20 ms to the first byte."""
    assert only(no_reuse(replies(anew(9, tls=tls)))).severity is severity


def test_a_cookie_that_balancers_set() -> None:
    found = only(sticky_cookie(replies(healthy(), page(sticky=("AWSALB",), cookies=("AWSALB",)))))
    assert (found.kind, found.severity) == (Kind.RISK, Severity.LOW)
    assert found.summary == "/shop: AWSALB ties a client to one server"


def tied(count: int, others: int) -> list[Reply]:
    with_cookie = [reply(cookie=True, instance="a")] * count
    return [*with_cookie, *(reply(instance="ab"[i % 2]) for i in range(others))]


@pytest.mark.parametrize(("count", "others", "fires"), [(5, 5, True), (4, 5, False), (5, 4, False)])
def test_a_cookie_of_any_name_that_ties(count: int, others: int, fires: bool) -> None:
    found = list(sticky_cookie(replies(tied(count, others))))
    assert bool(found) is fires
    if fires:
        assert "a cookie ties" in found[0].summary
        assert "with it 5 requests met one server, without it 2" in found[0].summary


def test_one_server_ties_nobody() -> None:
    answers = [reply(cookie=i % 2 == 0, instance="a") for i in range(20)]
    assert not list(sticky_cookie(replies(answers)))


SAME = [reply(first_byte=0.2, cookie=i % 2 == 1) for i in range(10)]


def test_the_same_answer_again_and_again() -> None:
    found = only(uncached(replies(SAME)))
    assert (found.kind, found.severity) == (Kind.RISK, Severity.LOW)
    assert "gave the same answer 10 times, each made anew in 200 ms" in found.summary
    assert "no lifetime" in found.summary


@pytest.mark.parametrize(
    ("answers", "headers", "fires"),
    [
        (SAME[:5], page(), True),
        ([*SAME[:4], reply(status=500)], page(), False),
        ([*SAME, reply(first_byte=0.2, body="b1")], page(), False),
        ([reply(first_byte=0.2, body="")] * 9, page(), False),
        ([reply(first_byte=0.05)] * 9, page(), True),
        ([reply(first_byte=0.049)] * 9, page(), False),
        (SAME, page(cookies=("sid",)), False),
        (SAME, page(fresh_for=1.0), False),
        (SAME, page(fresh_for=0.0), True),
        (SAME, page(age=0.0), False),
        (SAME, page(directives=("no-store",)), True),
        (SAME, None, False),
    ],
)
def test_what_could_be_cached(answers: list[Reply], headers: Any, fires: bool) -> None:
    assert bool(list(uncached(replies(answers, headers)))) is fires


def test_caching_needs_five_answers() -> None:
    with pytest.raises(Unavailable, match="only 4 answers"):
        list(uncached(replies(SAME[:4])))


@pytest.mark.parametrize(
    ("headers", "fires"),
    [
        (page(fresh_for=60.0, cookies=("sid",)), True),
        (page(fresh_for=0.0, cookies=("sid",)), False),
        (page(fresh_for=60.0, cookies=("sid",), directives=("private",)), False),
        (page(fresh_for=60.0, cookies=("sid",), directives=("no-store",)), False),
        (page(fresh_for=60.0), False),
    ],
)
def test_a_cookie_on_a_page_for_all(headers: Any, fires: bool) -> None:
    assert bool(list(cookie_on_cacheable(replies(SAME, headers)))) is fires


@pytest.mark.parametrize(
    ("size", "headers", "fires"),
    [
        (10_240, page(encoding=""), True),
        (10_239, page(encoding=""), False),
        (99_999, page(encoding="gzip"), False),
        (99_999, page(encoding="", kind="image/png"), False),
        (99_999, page(encoding="", kind="application/json"), True),
    ],
)
def test_text_that_is_sent_unpacked(size: int, headers: Any, fires: bool) -> None:
    assert bool(list(uncompressed(replies([reply(size=size)], headers)))) is fires
