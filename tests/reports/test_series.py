"""Lines and charts over the window, as characters, as pictures and in words."""

import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from scaledoctor.model import Band, Chart, State
from scaledoctor.report import Report
from scaledoctor.sdk import Style
from scaledoctor_reports import _html_charts as pictures
from scaledoctor_reports import _series as series
from scaledoctor_reports.html import html
from scaledoctor_reports.terminal import terminal
from tests import samples
from tests.reports.test_html import Parser

H = {"h1", "h2", "h3", "h4"}
RISING = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)


def with_row(**changes: Any) -> Report:
    """The healthy report with one resource, of which more is known."""
    row = replace(samples.row("a.pool", 5.0, 10.0, "servers", State.OK), **changes)
    return replace(samples.healthy(), headroom=(row,))


def test_a_line_goes_from_nothing_to_its_height() -> None:
    """Also in ASCII; what is above is full, what is below is nothing."""
    assert series.line(RISING, 7.0, 12, unicode=True) == "▁▂▃▄▅▆▇█"
    assert series.line(RISING, 7.0, 12, unicode=False) == "_.:-=+*#"
    assert series.line((-1.0, 99.0), 7.0, 12, unicode=True) == "▁█"
    assert series.line((0.0, 0.0), 0.0, 12, unicode=True) == "▁▁"
    assert series.line((), 1.0, 12, unicode=True) == ""


def test_a_long_line_is_thinned_to_means() -> None:
    """Sixty values on six characters: each is the mean of ten."""
    assert series.line((0.0, 7.0) * 30, 7.0, 6, unicode=False) == "======"
    assert len(series.line(RISING * 7, 7.0, 12, unicode=True)) == 12


def test_the_height_is_the_limit_or_what_went_beyond_it() -> None:
    """A line at its limit is full, one far from it is flat; without a limit its peak is full."""
    row = with_row(history=(5.0, 5.0)).headroom[0]
    assert series.top(row) == 10.0
    assert series.top(replace(row, history=(5.0, 12.0))) == 12.0
    assert series.top(replace(row, limit=None)) == 5.0


@pytest.mark.parametrize(
    ("width", "verbosity", "shown"), [(100, 1, True), (99, 1, False), (200, 0, False)]
)
def test_lines_are_for_wide_terminals_that_want_more(
    width: int, verbosity: int, shown: bool
) -> None:
    """From 100 columns and -v on, each beside the number that it belongs to."""
    report = with_row(history=RISING, queued=(0.0, 0.0, 4.0), waiting=1.3)
    out = terminal(report, Style(width=width, verbosity=verbosity))
    assert ("5 of 10 servers ▁▂▂▃▄▅▅▆, 1.3 waiting ▁▁█" in " ".join(out.split())) is shown
    assert ("▁" in out) is shown


def test_a_queue_that_never_was_has_no_line() -> None:
    """Nor has a resource of which nothing was sampled."""
    out = terminal(with_row(queued=(0.0,) * 9), Style(width=120, verbosity=1))
    assert "▁" not in out
    assert "spark" not in re.sub("<style>.*</style>", "", html(with_row(), Style()), flags=re.S)


def test_what_sessions_did_is_a_table_of_bars() -> None:
    """The largest first, with share and mean; nothing without -v."""
    report = replace(samples.healthy(), charts=(samples.sessions(),))
    out = terminal(report, Style(width=120, verbosity=1))
    body = out[out.index("What sessions did (postgres:shop)") :].splitlines()
    assert body[1] == "mean sessions over 10 s, idle ones left out"
    assert body[2].split() == ["Lock", "█" * 14 + "░" * 6, "69%", "6.8"]
    assert body[3].startswith("running ")
    assert "What sessions did" not in terminal(report, Style(width=120))


def test_a_picture_says_in_words_what_it_shows() -> None:
    """Every picture has a name, or is one that the number beside it has told already."""
    found = Parser(html(samples.bottleneck(), Style())).tags
    for _, attributes in (t for t in found if t[0] == "svg"):
        assert attributes.get("aria-hidden") == "true" or attributes.get("aria-label")
    labels = {attributes.get("aria-label") for _, attributes in found}
    assert "over the window from 8 to 19 connections, lowest 8, highest 19" in labels
    mixed = "69% Lock, 14% running, 10% idle in transaction, 6% IO"
    assert f"What sessions did over 10 s: {mixed}" in labels


def test_a_limit_is_a_dashed_line_where_it_lies() -> None:
    """At the top, or below it when more than the limit was used."""
    at, beyond = (
        pictures.used(with_row(history=values).headroom[0]) for values in ((5.0, 5.0), (20.0, 5.0))
    )
    assert 'd="M0 1 h100"' in at
    assert 'points="0,11 100,11"' in at
    assert 'd="M0 11 h100"' in beyond
    assert 'points="0,1 100,16"' in beyond


def test_bands_stand_upon_each_other_and_fill_the_tallest_moment() -> None:
    """In percent of the picture, from the bottom up."""
    chart = Chart("t", "u", 2.0, (Band("a", (1.0, 3.0)), Band("b", (0.0, 1.0))))
    out = "\n".join(pictures.charts((chart,)))
    places = re.findall(r'<rect x="(\S+)%" y="(\S+)%" width="50%" height="(\S+)%"', out)
    assert places == [("0", "75", "25"), ("50", "25", "75"), ("50", "0", "25")]
    assert '<p class="axis soft">4 u</p>' in out


def test_colour_is_never_alone() -> None:
    """Eight bands have eight patterns, each of its own; every pattern is found by its name."""
    bands = tuple(Band(f"b{i}", (1.0, 1.0)) for i in range(8))
    charts = (Chart("one", "u", 1.0, bands), Chart("two", "u", 1.0, bands))
    out = "\n".join(pictures.charts(charts))
    tiles = re.findall(r"<pattern id=.*?</pattern>", out)
    shapes = {re.sub(r'id="\S+"|class="\S+"', "", tile) for tile in tiles}
    assert (len(tiles), len(shapes)) == (16, 8)
    names = re.findall(r'<pattern id="(\S+)"', out)
    assert len(set(names)) == 16
    assert set(re.findall(r"url\(#(\S+?)\)", out)) == set(names)


def test_headings_go_down_one_level_at_a_time() -> None:
    """So that a screen reader can walk them; there is one of the first level."""
    for sample in (samples.bottleneck, samples.healthy, samples.partial):
        levels = [int(t[1]) for t, _ in Parser(html(sample(), Style())).tags if t in H]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(b - a <= 1 for a, b in pairwise(levels))


def test_every_column_and_row_has_its_scope() -> None:
    """Headings of tables say what they head."""
    for tag, attributes in Parser(html(samples.bottleneck(), Style())).tags:
        assert tag != "th" or attributes["scope"] in ("col", "row")
