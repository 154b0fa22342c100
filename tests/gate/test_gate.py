"""The gate on plain data: what shuts it, what does not, and what cannot be compared."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from scaledoctor.errors import ScaledoctorError
from scaledoctor.gate import Baseline, Counter, compare, read, write
from scaledoctor.gate.baseline import LIFE, dumps, known, near_its_limit
from scaledoctor.model import Evidence, Finding, Severity
from scaledoctor.report import Comparison, Report, Turn
from tests import samples

HERE = {"postgres:shop version": "PostgreSQL 18", "host cores": "4"}
BLOCKS = Counter("postgres:shop: SELECT 1: blocks per call", 100.0, 10.0, 500)


def base(*findings: Finding, counters: tuple[Counter, ...] = (BLOCKS,)) -> Baseline:
    """A baseline of the day of the samples."""
    day = samples.healthy().started.date()
    return Baseline(1, "0.1.0", day, day + LIFE, HERE, tuple(map(known, findings)), counters)


def beside(
    before: Baseline, report: Report, *counters: Counter, fail_on: Severity = Severity.HIGH
) -> Comparison:
    """The comparison with a scan under the same conditions."""
    return compare(before, "base.json", report, counters, HERE, fail_on)


def with_risks(*risks: Finding) -> Report:
    """A healthy report with these risks."""
    return replace(samples.healthy(), risks=risks)


def test_the_same_scan_passes() -> None:
    """Nothing changed: open, and all of it counted."""
    found = beside(base(samples.wraparound()), with_risks(samples.wraparound()), BLOCKS)
    assert (found.failed, found.changed, len(found.changes)) == (False, (), 2)
    assert found.sentence == "no regression against base.json"


@pytest.mark.parametrize(
    ("severity", "fail_on", "fails"),
    [
        (Severity.HIGH, Severity.HIGH, True),
        (Severity.MEDIUM, Severity.HIGH, False),
        (Severity.MEDIUM, Severity.MEDIUM, True),
    ],
)
def test_a_new_finding_fails_from_the_limit_on(
    severity: Severity, fail_on: Severity, fails: bool
) -> None:
    """At the limit yes, one grade below it is told and passes."""
    report = with_risks(replace(samples.wraparound(), severity=severity))
    found = beside(base(), report, fail_on=fail_on)
    assert [(c.turn, c.fails) for c in found.changed] == [(Turn.NEW, fails)]
    assert found.failed is fails


def test_a_finding_that_became_worse_fails() -> None:
    """Medium before, high now; the way back is better, and gone is gone."""
    was, now = samples.wraparound(), replace(samples.wraparound(), severity=Severity.HIGH)
    assert beside(base(was), with_risks(now)).failed
    found = beside(base(now), with_risks(was))
    assert [(c.turn, c.fails) for c in found.changed] == [(Turn.BETTER, False)]
    assert [c.turn for c in beside(base(was), samples.healthy()).changed] == [Turn.GONE]


@pytest.mark.parametrize(
    ("value", "edge"), [(30.0, True), (33.0, True), (33.1, False), (26.9, False), (27.0, True)]
)
def test_a_finding_near_its_threshold_does_not_shut_the_gate(value: float, edge: bool) -> None:
    """Within 10 % of its limit it is told as the edge that it is."""
    finding = replace(
        samples.wraparound(), severity=Severity.HIGH, evidence=(Evidence("age", value, "s", 30.0),)
    )
    assert near_its_limit(finding) is edge
    assert beside(base(), with_risks(finding)).failed is not edge


@pytest.mark.parametrize(
    ("before", "now", "floor", "turn"),
    [
        (100.0, 110.0, 10.0, Turn.SAME),
        (100.0, 110.5, 10.0, Turn.WORSE),
        (100.0, 89.0, 10.0, Turn.BETTER),
        (2.0, 11.9, 10.0, Turn.SAME),
        (2.0, 12.1, 10.0, Turn.WORSE),
        (0.0, 10.1, 10.0, Turn.WORSE),
        (0.0, 0.0, 10.0, Turn.SAME),
        (1000.0, 1050.0, 10.0, Turn.SAME),
    ],
)
def test_a_counter_fails_beyond_ten_percent_and_its_floor(
    before: float, now: float, floor: float, turn: Turn
) -> None:
    """Both, whichever is larger."""
    was = Counter("x", before, floor, 100)
    found = beside(base(counters=(was,)), samples.healthy(), replace(was, value=now))
    assert [(c.turn, c.fails) for c in found.changes] == [(turn, turn is Turn.WORSE)]


def test_a_counter_that_one_side_lacks_is_no_regression() -> None:
    """A statement that was not run can neither pass nor fail."""
    assert beside(base(), samples.healthy()).changes == ()
    assert beside(base(counters=()), samples.healthy(), BLOCKS).changes == ()


def test_other_conditions_are_incomparable() -> None:
    """Another version, or a target that was not seen: loud, and not shut."""
    worse = replace(BLOCKS, value=900.0)
    other = compare(base(), "b", samples.healthy(), (worse,), {**HERE, "host cores": "8"})
    assert (other.failed, other.incomparable) == (False, ("host cores was 4, is 8",))
    unseen = compare(base(), "b", samples.healthy(), (worse,), {"host cores": "4"})
    assert unseen.incomparable == ("postgres:shop was not seen",)
    assert compare(base(), "b", samples.healthy(), (worse,), HERE).failed


def test_an_old_baseline_and_another_version_are_told() -> None:
    """Notices, not failures."""
    old = replace(base(), expires=samples.healthy().started.date() - timedelta(1), version="0.0.9")
    notices = beside(old, samples.healthy()).notices
    assert notices[0] == "the baseline expired on 2026-05-03: write a new one"
    assert "scaledoctor 0.0.9" in notices[1]


def test_a_suppressed_finding_is_not_gone() -> None:
    """It is accepted, which is no improvement."""
    from scaledoctor.report import Suppressed

    report = replace(
        samples.healthy(), suppressed=(Suppressed(samples.wraparound(), "x", date(2027, 1, 1)),)
    )
    assert beside(base(samples.wraparound()), report).changes == ()


def test_a_baseline_is_read_back_and_merges_by_line(tmp_path: Path) -> None:
    """One finding or counter a line, three significant digits, sorted by what made it."""
    path = tmp_path / "base.json"
    made = base(samples.wraparound(), samples.blind(), counters=(replace(BLOCKS, value=123.456),))
    write(made, path)
    assert read(path) == replace(made, counters=(replace(BLOCKS, value=123.0),))
    lines = dumps(made).splitlines()
    assert sum('"fingerprint"' in line for line in lines) == 2
    assert dumps(base(counters=())).count("[]") == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no baseline"),
        ("[]", "no baseline"),
        ('{"schema_version": 2}', "made by a later scaledoctor"),
        ("\x00", "no baseline"),
    ],
)
def test_what_is_no_baseline_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    """With what to do."""
    path = tmp_path / "base.json"
    path.write_text(text)
    with pytest.raises(ScaledoctorError) as caught:
        read(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    """And no half file beside it."""
    path = tmp_path / "base.json"
    write(base(), path)
    before = path.read_bytes()
    with pytest.raises(ScaledoctorError, match="cannot write"):
        write(base(), tmp_path / "none" / "base.json")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["base.json"]
