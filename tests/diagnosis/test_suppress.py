"""Ignored findings are kept apart, and ignores that do nothing are told."""

from datetime import date

from scaledoctor.config import Ignore
from scaledoctor.diagnosis.suppress import suppress
from tests.samples import holder, wraparound

TODAY = date(2026, 5, 4)
FINDINGS = (holder(), wraparound())


def test_an_ignored_finding_is_kept_with_its_reason() -> None:
    """It is no longer among the others, and not lost."""
    ignore = Ignore("postgres.wraparound", "freeze on Sunday")
    kept, suppressed, notices = suppress(FINDINGS, [ignore], TODAY)
    assert (kept, [s.finding for s in suppressed], notices) == ([holder()], [wraparound()], ())
    assert suppressed[0].reason == "freeze on Sunday"


def test_an_expired_ignore_gives_its_finding_back() -> None:
    """And says so; one that nothing needs says that."""
    late = Ignore("postgres.wraparound", "x", date(2026, 5, 3))
    kept, suppressed, notices = suppress(FINDINGS, [late], TODAY)
    assert (len(kept), suppressed) == (2, ())
    assert notices == (
        "the ignore of postgres.wraparound expired on 2026-05-03: its finding is back",
    )
    assert suppress([holder()], [late], TODAY)[2] == (
        "the ignore of postgres.wraparound expired on 2026-05-03: nothing needs it any more",
    )


def test_what_is_critical_needs_a_date() -> None:
    """Without one it stays in the report."""
    kept, _, notices = suppress(FINDINGS, [Ignore("postgres.idle-in-transaction", "x")], TODAY)
    assert len(kept) == 2
    assert notices == (
        "the ignore of postgres.idle-in-transaction has no date: critical findings need one "
        "(until = YYYY-MM-DD)",
    )


def test_an_ignore_that_fits_nothing_is_told() -> None:
    """So that the file does not grow for ever."""
    assert suppress(FINDINGS, [Ignore("postgres.deadlocks", "x")], TODAY)[2] == (
        "the ignore of postgres.deadlocks fits nothing in this scan",
    )
