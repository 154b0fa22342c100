"""What a page answers: errors, slowness and refusals, each at its edges."""

from typing import Any

import pytest

from scaledoctor.sdk import Finding, Severity, Unavailable
from scaledoctor_checks.app.http_answers import errors, rate_limited, slow
from tests.checks.http_facts import healthy, page, replies, reply


def only(findings: Any) -> Finding:
    (finding,) = findings
    assert isinstance(finding, Finding)
    return finding


@pytest.mark.parametrize("check", [errors, slow, rate_limited])
def test_a_healthy_page_is_quiet(check: Any) -> None:
    assert not list(check(replies(healthy())))


@pytest.mark.parametrize(
    ("failed", "severity"),
    [(1, Severity.LOW), (2, Severity.MEDIUM), (9, Severity.MEDIUM), (10, Severity.HIGH)],
)
def test_errors_of_twenty(failed: int, severity: Severity) -> None:
    found = only(errors(replies([*healthy(20 - failed), *[reply(status=500)] * failed])))
    assert (found.subject, found.severity) == ("/shop", severity)
    assert f"{failed} of 20 requests for /shop failed: 500" in found.summary


def test_two_of_many_are_low() -> None:
    assert only(errors(replies([*healthy(19), *[reply(status=502)] * 2]))).severity is Severity.LOW


def test_a_cut_connection_is_an_error_with_its_words() -> None:
    cut = reply(status=0, error="the connection was cut")
    found = only(errors(replies([*healthy(8), cut, cut, reply(status=503)])))
    assert "failed: 503, the connection was cut" in found.summary


def test_what_the_server_asks_not_to_do_is_no_error() -> None:
    shed = reply(status=503, retry_after=30.0)
    assert not list(errors(replies([*healthy(), shed])))
    assert list(rate_limited(replies([*healthy(), shed])))


def test_errors_that_were_not_looked_for_are_not_ruled_out() -> None:
    with pytest.raises(Unavailable, match="only 0 answers"):
        list(errors(replies([reply(status=429)], stopped="the server asked us to stop")))


@pytest.mark.parametrize(
    ("first", "severity"),
    [(1.0, None), (1.002, Severity.MEDIUM), (2.999, Severity.MEDIUM), (3.0, Severity.HIGH)],
)
def test_a_late_first_byte(first: float, severity: Severity | None) -> None:
    """The time to connect, one round trip, is not the server's: 1 ms here."""
    answers = [reply(first_byte=first, connect=0.001)] * 5
    assert [f.severity for f in slow(replies(answers))] == ([severity] if severity else [])


def test_no_answer_in_time_is_a_late_one() -> None:
    answers = [reply(status=0, first_byte=0.0, seconds=3.0, error="no answer within 3 s")] * 5
    found = only(slow(replies(answers)))
    assert found.severity is Severity.HIGH
    assert "takes 3.0 s to its first byte (median of 5)" in found.summary


def test_a_far_server_is_not_a_slow_one() -> None:
    assert not list(slow(replies([reply(first_byte=1.2, connect=0.3)] * 5)))


def test_half_of_the_answers_must_be_late() -> None:
    late, good = reply(first_byte=5.0), reply()
    assert not list(slow(replies([late] * 4 + [good] * 5)))
    assert list(slow(replies([late] * 5 + [good] * 4)))


@pytest.mark.parametrize(
    ("count", "late", "fires"),
    [(3, 1.0, True), (3, 0.9, False), (2, 1.0, False)],
    ids=["three", "not late enough", "two answers"],
)
def test_one_slow_instance_of_two(count: int, late: float, fires: bool) -> None:
    """Every median of all is good; one in four answers comes from the other instance."""
    answers = [reply()] * 9 + [reply(first_byte=late, instance="bb")] * count
    found = list(slow(replies(answers, page(cdn="Cloudflare"))))
    assert bool(found) is fires
    if found:
        assert found[0].summary == (
            "one of at least 2 instances behind /shop takes 1.0 s to the first byte, the next 20 ms"
        )
        assert {e.fact: e.value for e in found[0].evidence}["behind the CDN"] == "Cloudflare"
    alike = [reply(first_byte=2.0)] * 9 + [reply(first_byte=3.9, instance="bb")] * count
    assert "(median of" in only(slow(replies(alike))).summary


@pytest.mark.parametrize(("count", "known"), [(4, False), (5, True)])
def test_a_median_needs_five_answers(count: int, known: bool) -> None:
    answers = replies([reply(first_byte=2.0)] * count)
    if known:
        assert list(slow(answers))
    else:
        with pytest.raises(Unavailable, match="only 4 answers"):
            list(slow(answers))


def test_a_server_that_sheds_load_is_high() -> None:
    found = only(rate_limited(replies([*healthy(3), reply(status=503, retry_after=30.0)])))
    assert found.severity is Severity.HIGH
    assert "HTTP 503, back in 30 s, after 3 that it answered: it sheds load" in found.summary


def test_a_limit_for_this_client_is_low() -> None:
    found = only(rate_limited(replies([reply(status=429)])))
    assert found.severity is Severity.LOW
    assert "HTTP 429, after 0 that it answered: a limit for this client" in found.summary


def test_503_without_retry_after_is_an_error_and_no_refusal() -> None:
    answers = replies([*healthy(5), reply(status=503)])
    assert not list(rate_limited(answers))
    assert list(errors(answers))
