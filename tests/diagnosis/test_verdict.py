"""One sentence, and never "healthy" when too little was seen."""

from scaledoctor.diagnosis.headroom import headroom
from scaledoctor.diagnosis.verdict import verdict
from scaledoctor.model import Confidence, State, Use
from scaledoctor.report import Status, first_to_fill
from scaledoctor.snapshot import Record, Skip
from scaledoctor.targets import Reach

T = "postgres:shop"


def record(*, ok: bool = True, named: bool = True) -> Record:
    return Record(T, "postgres", "db:5432/shop", named, Reach(ok, 0.1, message="no answer"), {})


def use(used: float, limit: float | None = 100.0, **more: object) -> Use:
    return Use(used, limit, "x", 0.75, 0.9, resource="a.pool", target=T, **more)  # type: ignore[arg-type]  # forwarded


def test_healthy_says_what_fills_up_first() -> None:
    """The resource with the smallest multiple, with its number."""
    found = verdict([], headroom([use(20.0), use(50.0)]), [record()], [], {T: 9})
    assert (found.status, found.confidence) == (Status.HEALTHY, Confidence.HIGH)
    assert "a.pool fills up first, at 2.0 times this traffic (now 50%)" in found.sentence


def test_a_saturated_resource_without_consumer_is_still_named() -> None:
    """With low confidence, for nobody is to blame yet."""
    found = verdict([], headroom([use(95.0)]), [record()], [], {T: 9})
    assert (found.status, found.confidence) == (Status.BOTTLENECK, Confidence.LOW)
    assert "a.pool is saturated at 95%" in found.sentence


def test_an_unreached_target_is_no_health() -> None:
    """The sentence says why; a target that nobody named does not count."""
    found = verdict([], (), [record(ok=False)], [], {})
    assert (found.status, "no answer" in found.sentence) == (Status.UNKNOWN, True)
    alone = verdict([], (), [record(ok=False, named=False)], [], {})
    assert (alone.status, alone.confidence) == (Status.HEALTHY, Confidence.MEDIUM)
    assert "nothing else was looked at" in alone.sentence


def test_a_half_blind_scan_is_no_health() -> None:
    """As many checks skipped as looked: unknown, with the remedy."""
    skips = [Skip(f"a.{i}", "hidden", "GRANT it", T) for i in range(3)]
    found = verdict([], (), [record()], skips, {T: 3})
    assert found.status is Status.UNKNOWN
    assert "hidden (GRANT it)" in found.sentence
    some = verdict([], (), [record()], skips, {T: 4})
    assert (some.status, some.confidence) == (Status.HEALTHY, Confidence.MEDIUM)
    assert "not everything could be seen" in some.sentence


def test_states_at_their_edges() -> None:
    """Busy from warn, saturated from critical when contended, or when work is refused."""
    cases = [
        (use(74.9), State.OK),
        (use(75.0), State.BUSY),
        (use(89.9), State.BUSY),
        (use(90.0), State.SATURATED),
        (use(99.0, contended=False), State.BUSY),
        (use(1.0, errors=1.0), State.SATURATED),
        (use(50.0, None), State.UNKNOWN),
    ]
    assert [u.state for u, _ in cases] == [state for _, state in cases]


def test_the_table_puts_the_fullest_first_and_skips_what_does_not_scale() -> None:
    """A lock wait has no traffic multiple, and what is full fills no more."""
    rows = headroom([use(10.0), use(80.0), use(95.0), use(85.0, scales=False)])
    assert [row.used for row in rows] == [95.0, 85.0, 80.0, 10.0]
    first = first_to_fill(rows)
    assert first is not None
    assert first.used == 80.0
    assert first_to_fill(headroom([use(50.0, scales=False), use(0.0)])) is None
