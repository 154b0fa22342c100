"""What happened when: read from the user and from facts."""

from datetime import UTC, datetime, timedelta

import pytest

from scaledoctor.diagnosis.timeline import event, timeline
from scaledoctor.errors import ScaledoctorError
from scaledoctor.report import Moment
from scaledoctor.snapshot import Record, Snapshot
from scaledoctor.sources.host import HostInfo
from scaledoctor.targets import Reach

NOW = datetime(2026, 5, 4, 14, 2, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("14:02 deploy 1.8", datetime(2026, 5, 4, 14, 2, tzinfo=UTC)),
        ("9:15:30 deploy 1.8", datetime(2026, 5, 4, 9, 15, 30, tzinfo=UTC)),
        ("14:03 deploy 1.8", datetime(2026, 5, 3, 14, 3, tzinfo=UTC)),
        ("2026-05-01T08:00:00Z deploy 1.8", datetime(2026, 5, 1, 8, tzinfo=UTC)),
        ("2026-05-01 08:00 deploy 1.8", datetime(2026, 5, 1, 8, tzinfo=UTC)),
        ("2026-05-01T10:00+02:00 deploy 1.8", datetime(2026, 5, 1, 8, tzinfo=UTC)),
    ],
)
def test_an_event_is_a_time_and_what_happened(text: str, at: datetime) -> None:
    """UTC unless it says otherwise; a clock time that is yet to come was yesterday."""
    assert event(text, NOW) == Moment(at, "deploy 1.8")


@pytest.mark.parametrize(
    "text", ["", "deploy 1.8", "14:02", "25:00 x", "14:99 x", "2026-13-01T00:00 x"]
)
def test_other_texts_are_refused(text: str) -> None:
    """With an example."""
    with pytest.raises(ScaledoctorError, match="no time and what happened") as caught:
        event(text, NOW)
    assert "deploy 1.8" in caught.value.hint


def snapshot(booted: float, reach: Reach) -> Snapshot:
    """One machine that booted then."""
    info = HostInfo(cores=2, memory=1, container=False, booted=NOW.timestamp() - booted)
    samples = {"HostInfo": ((0.0, info),)} if reach.ok else {}
    record = Record("host", "host", "", False, reach, samples)
    return Snapshot(1, "0", NOW, 10.0, 10.5, (record,))


@pytest.mark.parametrize(("days", "told"), [(6.9, True), (7.1, False)])
def test_recent_starts_are_told_in_order(days: float, told: bool) -> None:
    """What is older than a week is left out; what the user says stands at its time."""
    mine = Moment(NOW - timedelta(minutes=3), "deploy")
    found = timeline(snapshot(days * 86400, Reach(True, 0.0)), [mine])
    assert [m.what for m in found] == [
        *(["host booted"] if told else []), "deploy", "scaledoctor began to look",
        "scaledoctor had seen enough",
    ]  # fmt: skip
    assert found[-1].at == NOW + timedelta(seconds=10.5)


def test_a_refusal_is_an_event() -> None:
    """With its reason."""
    found = timeline(snapshot(0, Reach(False, 0.0, message="too many clients")))
    assert found[0].what == "host did not let us in: too many clients"
