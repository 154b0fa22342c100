"""The detector's partial result is the same for any cut of the stream."""

from collections.abc import Sequence
from functools import reduce

from hypothesis import given, settings
from hypothesis import strategies as st

from scaledoctor.logs.nplusone import plain
from scaledoctor.logs.nplusone.runs import MOST_KEYS, Runs
from scaledoctor.logs.sql.calls import Call, Unit
from scaledoctor.logs.sql.templates import Templates
from tests.logs.streams import Stream, fed, pieces

TEXTS = (
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SELECT id FROM orders",
    "SELECT * FROM author WHERE kind = 'a'",
    "SELECT * FROM customer WHERE id = {}",
    "SELECT * FROM customer WHERE id = {}",
    "SELECT * FROM book WHERE author_id = $1",
    "SELECT count(*) FROM line WHERE order_id = {}",
    "UPDATE stock SET n = 1 WHERE id = {}",
    "INSERT INTO log (a) VALUES ({})",
    "SET application_name='x'",
    "DISCARD ALL",
    "SELECT 1",
)
TEMPLATES = Templates()

EVENTS = st.tuples(
    st.sampled_from([*TEXTS, *TEXTS[5:8] * 3]),
    st.integers(1, 9),
    st.sampled_from([0.0, 0.0004, 0.001, 0.015, 0.15, 0.21, 0.26, 4.0, 5.5]),
    st.sampled_from([None, 0.0, 0.0003, 0.002, 0.3]),
    st.sampled_from([(Unit.SESSION, b"a"), (Unit.SESSION, b"b"), (Unit.TRACE, b"t"),
                     (Unit.CLIENT, b"c"), (Unit.WINDOW, b"w")]),
    st.integers(1, 12),
)  # fmt: skip


@st.composite
def streams(draw: st.DrawFn) -> list[Call]:
    """Calls in log order, in bursts of the same statement as programs send them."""
    at, calls = 1000.0, []
    for text, value, gap, seconds, (unit, key), times in draw(st.lists(EVENTS, max_size=40)):
        for n in range(times if "{}" in text or "$" in text else 1):
            at += gap if n == 0 else min(gap, 0.001)
            raw = text.format(value + n).encode()
            parameters = f"$1 = '{value + n}'".encode() if "$1" in text else b""
            calls.append(Call(unit, key, key, b"web", TEMPLATES.number(raw), raw, parameters, at,
                              seconds, b"", b"line" if value > 5 else b""))  # fmt: skip
    return calls


def told(runs: Runs) -> tuple[object, ...]:
    """All that a finished detector says."""
    runs.finish()
    return (runs.calls, runs.micros, runs.untimed, runs.pooled, runs.found, runs.orphaned)


def merged(parts: Sequence[Runs]) -> Runs:
    """Neighbours joined from left to right."""

    def followed(left: Runs, right: Runs) -> Runs:
        left.merge(right)
        return left

    return reduce(followed, parts)


@settings(max_examples=400, deadline=None)
@given(streams(), st.lists(st.integers(0, 300), max_size=6))
def test_any_cut_gives_the_same(calls: list[Call], cuts: list[int]) -> None:
    """Cut anywhere, each part by its own detector, merged in order."""
    whole = told(fed(calls, TEMPLATES.names, show=True))
    parts = [fed(p, TEMPLATES.names, show=True)
             for p in pieces(calls, (c for c in cuts if c < len(calls)))]  # fmt: skip
    assert told(merged(parts)) == whole


@settings(max_examples=150, deadline=None)
@given(streams(), st.lists(st.integers(0, 300), min_size=2, max_size=4))
def test_the_order_of_merging_is_free(calls: list[Call], cuts: list[int]) -> None:
    """Neighbours joined from the right, as a tree may do, by way of JSON."""
    whole = told(fed(calls, TEMPLATES.names))
    parts = [fed(p, TEMPLATES.names) for p in pieces(calls, (c for c in cuts if c < len(calls)))]
    while len(parts) > 1:
        right = plain.loads(plain.dumps(parts.pop()), TEMPLATES.names)
        parts[-1].merge(right)
    assert told(parts[0]) == whole


@settings(max_examples=100, deadline=None)
@given(streams(), st.integers(0, 300))
def test_a_stored_one_goes_on(calls: list[Call], cut: int) -> None:
    """What was written to a file is fed on as if it never had been."""
    runs = plain.loads(plain.dumps(fed(calls[:cut], TEMPLATES.names)), TEMPLATES.names)
    for call in calls[cut:]:
        runs.feed(call)
    assert told(runs) == told(fed(calls, TEMPLATES.names))


def test_other_tables_of_templates_merge() -> None:
    """Each worker numbers templates as it meets them."""
    early, late = Stream(), Stream(at=1000.05)
    early.run("SELECT 1").page(6)
    late.run(*(f"SELECT * FROM customer WHERE id = {n}" for n in range(50, 60)))
    runs = fed(early.calls, early.templates.names)
    runs.merge(fed(late.calls, late.templates.names))
    (one,) = runs.finish().found.values()
    assert (one.calls, one.requests) == (16, 1)


def test_keys_that_fell_silent_are_forgotten() -> None:
    """A hundred thousand connections of a statement each hold no memory."""
    stream = Stream()
    runs = Runs(stream.templates.names)
    for n in range(30_000):
        stream.run("SELECT * FROM customer WHERE id = 1", key=f"s{n}")
        runs.feed(stream.calls.pop())
    assert len(runs.tracks) + len(runs.heads) <= MOST_KEYS


def test_merging_forgets_them_too() -> None:
    """Parts of a stretch of hours, each with connections of its own."""
    total = Runs(whole=True)
    for part in range(20):
        stream = Stream(at=1000.0 + part * 10)
        for n in range(100):
            stream.page(6).key = f"{part}/{n}"
        total.merge(fed(stream.calls, stream.templates.names))
        assert len(total.tracks) <= 101
        assert not total.heads
    (one,) = total.finish().found.values()
    assert (one.calls, one.requests) == (12_000, 2000)


def test_what_begins_a_log_needs_no_head() -> None:
    """The same as one that might go on from before, once both are finished."""
    stream = Stream()
    for n in (6, 9):
        stream.run("COMMIT").page(n).rest(6.0)
    whole = Runs(stream.templates.names, whole=True)
    for call in stream.calls:
        whole.feed(call)
    assert told(whole) == told(fed(stream.calls, stream.templates.names))


def test_no_literal_is_stored() -> None:
    """A partial result may be kept: it has hashes, and values only where they may be shown."""
    stream = Stream().page(9, child="SELECT * FROM customer WHERE name = 'secret{}'")
    hidden = plain.dumps(fed(stream.calls, stream.templates.names))
    shown = plain.dumps(fed(stream.calls, stream.templates.names, show=True))
    assert b"secret" not in hidden
    assert b"secret" in shown
