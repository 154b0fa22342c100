"""Whole reports against files under golden/.

After a wanted change run ``SCALEDOCTOR_GOLDEN=write`` with this test, and read the diff.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from scaledoctor.report import Report
from scaledoctor.sdk import Renderer, Style
from scaledoctor_reports.csv_report import csv_report
from scaledoctor_reports.github import github
from scaledoctor_reports.gitlab import gitlab
from scaledoctor_reports.html import html
from scaledoctor_reports.json_report import json_report
from scaledoctor_reports.junit import junit
from scaledoctor_reports.markdown import markdown
from scaledoctor_reports.nagios import nagios
from scaledoctor_reports.pagerduty import pagerduty
from scaledoctor_reports.prometheus import prometheus
from scaledoctor_reports.sarif import sarif
from scaledoctor_reports.slack import slack
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
    (csv_report, UNICODE, "csv"),
    (github, UNICODE, "github.txt"),
    (gitlab, UNICODE, "gitlab.json"),
    (html, UNICODE, "html"),
    (junit, UNICODE, "junit.xml"),
    (nagios, UNICODE, "nagios.txt"),
    (pagerduty, UNICODE, "pagerduty.json"),
    (prometheus, UNICODE, "prom"),
    (sarif, UNICODE, "sarif"),
    (slack, UNICODE, "slack.json"),
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
        path.write_bytes(text.encode())
    assert text == path.read_bytes().decode()
    assert text == renderer(sample(), style), "the same report is always drawn the same"
