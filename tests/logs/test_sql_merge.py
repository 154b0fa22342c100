"""However a log is cut, and in whatever order parts are merged, it says the same."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaledoctor.logs.nplusone.runs import Runs
from scaledoctor.logs.sql.chunks import analyze_chunk, blocks
from scaledoctor.logs.sql.entry import Layout
from scaledoctor.logs.sql.partial import Partial
from scaledoctor.logs.sql.recognise import format_of
from tests.logs.sql_lines import log

LAYOUTS = [Layout("stderr", "%m [%p] "), Layout("stderr", "%m [%p] ", bare=True)]


def analysed(messages: list[str], cuts: list[int], layout: Layout) -> list[Partial]:
    """One part for each stretch between the cuts."""
    places = [0, *sorted(cuts), len(messages)]
    parts = ["".join(messages[a:b]).encode() for a, b in pairwise(places)]
    return [analyze_chunk(part, layout, literals=True) for part in parts]


def finished(parts: list[Partial], *, whole: bool) -> Partial:
    """All parts one after the other, the first of them at the start of the log."""
    total = Partial(whole=whole)
    for part in parts:
        total.merge(part)
    total.finish()
    # Its own tests cut calls; what a cut between bind and execute hides from it is microseconds.
    return replace(total, runs=Runs())


@settings(max_examples=40, deadline=None)
@given(log(), st.data())
@pytest.mark.parametrize("layout", LAYOUTS, ids=["timed", "bare"])
def test_any_cut_and_any_grouping_says_the_same(
    layout: Layout, messages: list[str], data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(messages)), max_size=6))
    once = finished(analysed(messages, [], layout), whole=True)
    assert finished(analysed(messages, cuts, layout), whole=True) == once
    # grouped: (a (b c)) d, as a tree of workers would
    parts = analysed(messages, cuts, layout)
    middle = data.draw(st.integers(0, len(parts)))
    right = Partial()
    for part in parts[middle:]:
        right.merge(part)
    assert finished([*parts[:middle], right], whole=True) == once


@settings(max_examples=30, deadline=None)
@given(log(), st.integers(1, 2000), st.integers(1, 300))
def test_blocks_of_a_stream_say_the_same(messages: list[str], size: int, piece: int) -> None:
    layout = LAYOUTS[0]
    data = "".join(messages).encode()
    pieces = (data[at : at + piece] for at in range(0, len(data), piece))
    found = list(blocks(pieces, format_of(layout).start, size + 500))
    assert b"".join(found) == data
    once = finished([analyze_chunk(data, layout)], whole=True)
    assert finished([analyze_chunk(block, layout) for block in found], whole=True) == once
