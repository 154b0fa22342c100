"""Whole reports against files under golden/.

After a wanted change run ``SCALEDOCTOR_GOLDEN=write`` with this test, and read the diff.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from scaledoctor.report import Report
from scaledoctor.sdk import Renderer, Style
from scaledoctor_reports.json_report import json_report
from scaledoctor_reports.markdown import markdown
from scaledoctor_reports.terminal import terminal
from tests import samples

GOLDEN = Path(__file__).parent / "golden"
UNICODE = Style(width=80)
ASCII = Style(width=80, unicode=False)

FORMATS = [
    (terminal, UNICODE, "txt"),
    (terminal, ASCII, "ascii.txt"),
    (markdown, UNICODE, "md"),
    (json_report, UNICODE, "json"),
]


@pytest.mark.parametrize("sample", [samples.bottleneck, samples.healthy, samples.partial])
@pytest.mark.parametrize(("renderer", "style", "ending"), FORMATS, ids=[f[2] for f in FORMATS])
def test_a_report_looks_as_it_did(
    sample: Callable[[], Report], renderer: Renderer, style: Style, ending: str
) -> None:
    """Every format of every sample is, character by character, what its file holds."""
    path = GOLDEN / f"{sample.__name__}.{ending}"
    text = renderer(sample(), style)
    if os.environ.get("SCALEDOCTOR_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
    assert text == renderer(sample(), style), "the same report is always drawn the same"
