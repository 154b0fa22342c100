"""Trials that were never run, for tests of judging and scoring."""

from datetime import UTC, datetime

from scaledoctor.demo.fault import Fault
from scaledoctor.demo.faults import FAULTS
from scaledoctor.demo.load import LoadResult
from scaledoctor.demo.trial import Trial
from scaledoctor.model import Confidence
from scaledoctor.report import Report, Status, Verdict

IDLE = FAULTS["idle-in-transaction"]

EMPTY = Report(
    schema_version=1,
    tool="scaledoctor",
    version="0",
    run="x",
    started=datetime(2026, 1, 1, tzinfo=UTC),
    window=6.0,
    seconds=6.2,
    targets=(),
    verdict=Verdict(Status.HEALTHY, "no bottleneck", Confidence.HIGH),
    diagnoses=(),
    minor=(),
    risks=(),
    blind_spots=(),
    headroom=(),
    ruled_out=(),
    skipped=(),
    errored=(),
    redactions={},
)


def load(throughput: float) -> LoadResult:
    """A result of four seconds with that throughput."""
    return LoadResult(4.0, int(throughput * 4), {}, throughput, 1.0, 2.0, 3.0, ())


def tried(fault: Fault = IDLE, *, during: float = 4.0, after: float | None = 295.0) -> Trial:
    """A trial in which the cause was named first."""
    return Trial(
        fault=fault,
        seed=0,
        subject="billing-worker",
        before=load(300.0),
        during=load(during),
        report=EMPTY,
        rank=1,
        false_alarms=(),
        after=None if after is None else load(after),
    )
