"""What is called ruled out was looked for."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from scaledoctor.diagnosis.headroom import headroom
from scaledoctor.diagnosis.ruled_out import ruled_out
from scaledoctor.examine import examine
from scaledoctor.model import Evidence, Finding, Severity, Step, Use
from scaledoctor.registry import Registry
from scaledoctor.sdk import Check, Reach, check
from scaledoctor.snapshot import Record, Snapshot

T = "postgres:shop"


def quiet(name: str, step: Step, *about: str) -> Check[...]:
    @check(name, step=step, about=about)
    def silent(reach: Reach, /) -> Iterator[Finding]:
        """Finds nothing."""
        del reach
        yield from ()

    return silent


LOCK = quiet("postgres.lock", Step.TIGHTEN)
SLOTS = quiet("postgres.slots", Step.POOL)
CACHE = quiet("redis.cache", Step.TIGHTEN)
DISK = quiet("host.disk", Step.SCALE_OUT)
JOBS = quiet("queue.jobs", Step.OFFLOAD, "postgres.locks")
BLIND = quiet("postgres.blind", Step.IDENTIFY)
ALL = (LOCK, SLOTS, CACHE, DISK, JOBS, BLIND)


def full(share: float) -> Use:
    return Use(share, 1.0, "x", 0.1, 0.3, resource="postgres.locks", step=Step.TIGHTEN, target=T)


def blamed(share: float) -> Finding:
    return Finding(
        "web", "web holds it", Severity.HIGH, evidence=(Evidence("x", share),),
        explains={"postgres.locks": share}, target=T,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("use", "findings", "left"),
    [
        (full(0.29), [], {LOCK, SLOTS, CACHE, DISK, JOBS}),
        (full(0.3), [], {DISK}),
        (full(0.3), [blamed(0.24)], {DISK}),
        (full(0.3), [blamed(0.25)], {LOCK, SLOTS, CACHE, DISK, JOBS}),
    ],
    ids=["has room", "nobody knows", "explained by less than a quarter", "explained"],
)
def test_what_is_full_without_a_cause_keeps_its_checks_open(
    use: Use, findings: list[Finding], left: set[Check[...]]
) -> None:
    """Of its area, of its step of the fix path, or about it; a blind spot rules out nothing."""
    said = ruled_out(headroom([use]), ALL, [use], findings)
    assert {line for line in said if "(" in line} == {f"{c.title} ({c.id})" for c in left}


@pytest.mark.parametrize(("ok", "expected"), [(True, ["postgres.lock"]), (False, [])])
def test_a_target_that_let_nobody_in_rules_nothing_out(ok: bool, expected: list[str]) -> None:
    """A check that also runs on a refusal was silent about that alone."""
    reach = Reach(ok, 0.1)
    record = Record(T, "postgres", "db:5432/shop", True, reach, {"Reach": ((0.0, reach),)})
    snapshot = Snapshot(1, "0", datetime.now(UTC), 0.0, 0.0, (record,))
    seen = examine(snapshot, Registry(checks={"postgres.lock": LOCK}))
    assert seen.quiet == expected
