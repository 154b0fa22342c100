"""Formats for other programs: valid for their readers, inert, and true to the report."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import jsonschema
import pytest

from scaledoctor.model import Evidence, Severity
from scaledoctor.report import Report
from scaledoctor.sdk import Renderer, Style
from scaledoctor_reports.csv_report import COLUMNS, csv_report
from scaledoctor_reports.github import github
from scaledoctor_reports.gitlab import gitlab
from scaledoctor_reports.junit import junit
from scaledoctor_reports.nagios import exits, nagios
from scaledoctor_reports.pagerduty import pagerduty
from scaledoctor_reports.prometheus import prometheus
from scaledoctor_reports.sarif import sarif
from scaledoctor_reports.slack import slack
from tests import samples
from tests.reports.sarif_subset import SUBSET
from tests.reports.test_hostile import TEXTS, hidden

ALL = [csv_report, github, gitlab, junit, nagios, pagerduty, prometheus, sarif, slack]
SAMPLES = [samples.bottleneck, samples.healthy, samples.partial, samples.hostile]
SAMPLE = re.compile(r'scaledoctor_\w+(\{(\w+="(?:[^"\\\n]|\\\\|\\")*",?)+\})? [-+\w.]+')


@pytest.mark.parametrize("renderer", ALL, ids=[r.name for r in ALL])
@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_no_format_lets_a_control_character_through(renderer: Renderer, text: str) -> None:
    """Whatever a name holds, it is shown as an escape, and the whole can be written as UTF-8."""
    out = renderer(samples.hostile(text), Style()).replace("\r\n", "\n")
    assert hidden(out) == set()
    assert out.encode()


@pytest.mark.parametrize("sample", SAMPLES)
def test_sarif_is_what_github_shows(sample: Callable[[], Report]) -> None:
    """Valid for the subset that GitHub documents; every finding is there with its identity."""
    report = sample()
    log = json.loads(sarif(report, Style()))
    jsonschema.validate(log, SUBSET)
    results = log["runs"][0]["results"]
    marks = [r["partialFingerprints"]["primaryLocationLineHash"] for r in results]
    assert marks == [f"{f.fingerprint}:1" for f in report.findings]
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert all(rules[r["ruleIndex"]]["id"] == r["ruleId"] for r in results)


def test_the_subset_refuses_an_alert_without_a_place() -> None:
    """The schema of this test can fail."""
    log = json.loads(sarif(samples.bottleneck(), Style()))
    del log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(log, SUBSET)


def test_a_finding_in_a_file_is_shown_there() -> None:
    """The first file:line among the sources; else the project's file stands for the system."""
    report = samples.bottleneck()
    found = replace(report.risks[0], evidence=(Evidence("x", 1, source="./etc/haproxy.cfg:12"),))
    for renderer, wanted in (
        (sarif, '"uri": "etc/haproxy.cfg"'),
        (gitlab, '"path": "etc/haproxy.cfg"'),
        (github, "file=etc/haproxy.cfg,line=12,"),
    ):
        assert wanted in renderer(replace(report, risks=(found,)), Style())
        assert wanted not in renderer(report, Style())


def test_github_shows_ten_of_a_level_and_counts_the_rest() -> None:
    """More than ten would be dropped in silence."""
    risk = samples.wraparound()
    report = replace(samples.bottleneck(), risks=(risk,) * 14)
    lines = github(report, Style()).splitlines()
    assert sum(row.startswith("::warning") for row in lines) == 10
    assert "(5 more in the other formats)" in lines[-1], "the second cause is a warning too"


def test_github_commands_cannot_be_forged() -> None:
    """A newline or a percent sign of a name stays inside its annotation."""
    text = "a%0A::error::forged\n::error::forged, title=x"
    lines = github(samples.hostile(text), Style()).splitlines()
    ours = ("::error file=", "::warning file=", "::notice file=", "scaledoctor:")
    assert all(row.startswith(ours) for row in lines)
    assert not any(row.startswith("::error::") for row in lines)


def test_junit_fails_from_high_on() -> None:
    """The root and its symptom fail, a medium cause and a risk are told and pass."""
    root = ET.fromstring(junit(samples.bottleneck(), Style()))  # noqa: S314  our own output
    failed = [case for case in root.iter("testcase") if case.find("failure") is not None]
    assert [case.get("name", "").partition(":")[0] for case in failed] == [
        "postgres.idle-in-transaction", "postgres.lock-queue",
    ]  # fmt: skip
    assert root.get("failures") == "2"
    assert root.get("tests") == str(len(samples.bottleneck().findings))


def test_junit_tells_what_was_not_seen() -> None:
    """Skips, crashes and refused targets are no passes; an empty report is one test."""
    root = ET.fromstring(junit(samples.partial(), Style()))  # noqa: S314  our own output
    assert (root.get("skipped"), root.get("errors"), root.get("failures")) == ("3", "2", "0")
    calm = ET.fromstring(junit(samples.healthy(), Style()))  # noqa: S314  our own output
    assert (calm.get("tests"), calm.get("failures")) == ("1", "0")


@pytest.mark.parametrize("sample", SAMPLES)
def test_junit_is_well_formed(sample: Callable[[], Report]) -> None:
    """Any parser reads it back, with counts that add up."""
    root = ET.fromstring(junit(sample(), Style()))  # noqa: S314  our own output
    assert len(list(root.iter("testcase"))) == int(root.get("tests", ""))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert sum(int(s.get(name, "")) for s in root.iter("testsuite")) == int(root.get(name, ""))
        assert len(list(root.iter(tag))) == int(root.get(name, ""))


@pytest.mark.parametrize(
    ("severity", "word", "code"),
    [
        (Severity.LOW, "OK", 0),
        (Severity.MEDIUM, "WARNING", 1),
        (Severity.HIGH, "CRITICAL", 2),
    ],
)
def test_nagios_states(severity: Severity, word: str, code: int) -> None:
    """WARNING from medium, CRITICAL from high."""
    report = samples.bottleneck()
    first = replace(report.diagnoses[0], finding=replace(samples.holder(), severity=severity))
    report = replace(report, diagnoses=(first,))
    assert nagios(report, Style()).startswith(f"{word} - ")
    assert exits(report) == code


def test_nagios_is_one_line_with_values() -> None:
    """Text, one bar, then name=used;warn;crit;min;max; unknown targets are UNKNOWN."""
    out = nagios(samples.bottleneck(), Style())
    assert out.count("\n") == 1
    assert "'postgres:shop postgres.connections'=19;15;18;0;20" in out.partition(" | ")[2]
    assert nagios(samples.hostile("a|b\n"), Style()).count("|") == 1
    assert nagios(samples.partial(), Style()).startswith("UNKNOWN - ")
    assert exits(samples.partial()) == 3


@pytest.mark.parametrize("sample", SAMPLES)
def test_prometheus_text_has_the_exposition_format(sample: Callable[[], Report]) -> None:
    """Every sample matches the grammar, under one HELP and TYPE, and stands there once."""
    lines = prometheus(sample(), Style()).splitlines()
    samples_only = [row for row in lines if not row.startswith("#")]
    assert all(SAMPLE.fullmatch(row) for row in samples_only), samples_only
    names = [row.split("{")[0].split(" ")[0] for row in samples_only]
    assert len(set(samples_only)) == len(samples_only)
    assert list(dict.fromkeys(names)) == [r.split()[2] for r in lines if r[:6] == "# TYPE"]


def test_prometheus_tells_the_numbers() -> None:
    """The gauges are those of the report."""
    out = prometheus(samples.bottleneck(), Style())
    assert "scaledoctor_bottleneck 1.0\n" in out
    assert 'scaledoctor_findings{severity="critical"} 1.0\n' in out
    assert 'resource_used{target="postgres:shop",resource="postgres.connections"} 19.0\n' in out
    assert "scaledoctor_bottleneck NaN\n" in prometheus(samples.partial(), Style())


def test_csv_is_read_back_whole() -> None:
    """One line a finding; what a spreadsheet would take for a formula is text."""
    report = samples.bottleneck()
    rows = list(csv.reader(io.StringIO(csv_report(report, Style()))))
    assert rows[0] == list(COLUMNS)
    assert [row[-1] for row in rows[1:]] == [f.fingerprint for f in report.findings]
    evil = list(csv.reader(io.StringIO(csv_report(samples.hostile("=1+1"), Style()))))
    assert evil[1][COLUMNS.index("summary")] == "'=1+1"


def test_gitlab_fields_are_those_that_it_reads() -> None:
    """Description, check, fingerprint, severity of its scale, path and first line."""
    entries = json.loads(gitlab(samples.bottleneck(), Style()))
    assert entries[0]["severity"] == "blocker"
    for entry in entries:
        assert set(entry) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert entry["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert entry["location"]["lines"]["begin"] >= 1


def test_pagerduty_opens_and_closes_the_same_incident() -> None:
    """Trigger while there is a bottleneck, resolve under the same key when healthy."""
    bad = json.loads(pagerduty(samples.bottleneck(), Style()))
    good = json.loads(pagerduty(samples.healthy(), Style()))
    assert (bad["event_action"], good["event_action"]) == ("trigger", "resolve")
    assert bad["dedup_key"] == good["dedup_key"]
    assert bad["payload"]["severity"] == "critical"
    datetime.strptime(bad["payload"]["timestamp"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def test_pagerduty_does_not_resolve_what_it_could_not_see() -> None:
    """Nothing reached is no recovery."""
    event = json.loads(pagerduty(samples.partial(), Style()))
    assert (event["event_action"], event["payload"]["severity"]) == ("trigger", "warning")


@pytest.mark.parametrize("sample", SAMPLES)
def test_events_and_messages_stay_within_their_limits(sample: Callable[[], Report]) -> None:
    """PagerDuty: summary 1,024, dedup key 255; Slack: 50 blocks, header 150, section 3,000."""
    event = json.loads(pagerduty(sample(), Style()))
    assert len(event["dedup_key"]) <= 255
    assert len(event.get("payload", {}).get("summary", "")) <= 1024
    message = json.loads(slack(sample(), Style()))
    assert len(message["blocks"]) <= 50
    assert len(json.dumps(message)) <= 13_200
    for block in message["blocks"]:
        text = block["text"]["text"] if "text" in block else block["elements"][0]["text"]
        assert 0 < len(text) <= (150 if block["type"] == "header" else 3000)
