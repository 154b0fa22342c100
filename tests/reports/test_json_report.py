"""The report for programs, and its schema."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from scaledoctor.report import SCHEMA_VERSION, Report
from scaledoctor.sdk import Style
from scaledoctor_reports import _machine
from scaledoctor_reports._document import VERSION
from scaledoctor_reports.json_report import json_report
from tests import samples

SCHEMA = Path(__file__).parents[2] / "docs" / "report.schema.json"


def test_the_schema_in_the_docs_is_that_of_the_types() -> None:
    """SCALEDOCTOR_GOLDEN=write renews it; a change for readers needs a new schema version."""
    if os.environ.get("SCALEDOCTOR_GOLDEN") == "write":
        SCHEMA.write_text(_machine.schema(), encoding="utf-8")
    assert SCHEMA.read_text(encoding="utf-8") == _machine.schema()
    jsonschema.Draft202012Validator.check_schema(json.loads(_machine.schema()))
    assert VERSION == SCHEMA_VERSION


@pytest.mark.parametrize(
    "sample", [samples.bottleneck, samples.healthy, samples.partial, samples.hostile]
)
def test_a_report_follows_the_schema(sample: Callable[[], Report]) -> None:
    """Every sample is valid; a document of another version or without a verdict is not."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    found = json.loads(json_report(sample(), Style()))
    jsonschema.validate(found, schema)
    for broken in ({**found, "schema_version": 2}, {**found, "verdict": {}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema)


def test_every_finding_is_there_once_with_its_fingerprint_and_role() -> None:
    """Roots and symptoms first; references between them are fingerprints."""
    report = samples.bottleneck()
    found = json.loads(json_report(report, Style()))
    assert len(found["findings"]) == len(report.findings)
    assert {f["fingerprint"] for f in found["findings"]} == {f.fingerprint for f in report.findings}
    roles = [f["role"] for f in found["findings"]]
    assert roles == ["root", "symptom", "root", "minor", "minor", "minor", "risk", "blind-spot"]
    root = found["findings"][0]
    assert found["verdict"]["finding"] == found["diagnoses"][0]["finding"] == root["fingerprint"]
    assert found["findings"][1]["root"] == root["fingerprint"]
    assert found["chain"] == found["diagnoses"][0]["chain"]
    assert [s["state"] for s in found["fix_path"]] == ["done", "", "now", "", "next"]


def test_nothing_of_a_partial_view_is_left_out() -> None:
    """Skips, crashes with their traceback, targets, timings."""
    report = samples.partial()
    found = json.loads(json_report(report, Style()))
    assert [s["what"] for s in found["skipped"]] == [s.what for s in report.skipped]
    assert found["errored"][0]["traceback"] == report.errored[0].traceback
    assert [t["ok"] for t in found["targets"]] == [True, False]
    assert (found["run"]["window"], found["run"]["seconds"]) == (0.0, 0.4)
