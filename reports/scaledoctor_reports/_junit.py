"""From a Report to JUnit's XML, in the common subset that CI systems read."""

import xml.etree.ElementTree as ET

from scaledoctor.model import Finding, Severity
from scaledoctor.report import Report
from scaledoctor_reports import _words as words
from scaledoctor_reports.escape import code, line

FAILS = Severity.HIGH
"""From here on a finding is a failure, as the gate takes it; below it is told and passes."""


def render(report: Report) -> str:
    """Return the document: one suite an area (the word before the dot of a check's id)."""
    cases: dict[str, list[ET.Element]] = {}
    for finding in report.findings:
        cases.setdefault(_area(finding.check), []).append(_case(finding))
    for group in words.unseen(report):
        text = f"{group.reason}. {group.enable}"
        for what in group.what:
            case = _named(what, group.target)
            ET.SubElement(case, "skipped", message=line(text))
            cases.setdefault(_area(what), []).append(case)
    for failure in report.errored:
        case = _named(failure.what, failure.target)
        error = ET.SubElement(case, "error", message=line(failure.error), type="crash")
        error.text = code(failure.traceback)
        cases.setdefault(_area(failure.what), []).append(case)
    for target in report.targets:
        if not target.ok:
            case = _named("reach", target.name)
            ET.SubElement(case, "error", message=line(target.message), type="unreachable")
            cases.setdefault("targets", []).append(case)
    if not cases:
        cases["verdict"] = [_named(line(report.verdict.sentence), "all targets")]
    return _document(report, cases)


def _document(report: Report, cases: dict[str, list[ET.Element]]) -> str:
    root = ET.Element("testsuites", name=report.tool, time=f"{report.seconds:.3f}")
    root.set("timestamp", f"{report.started:%Y-%m-%dT%H:%M:%S}")
    for area, mine in sorted(cases.items()):
        suite = ET.SubElement(root, "testsuite", name=area)
        suite.extend(mine)
        _count(suite, mine)
    _count(root, [case for mine in cases.values() for case in mine])
    ET.indent(root)
    return ET.tostring(root, "unicode", xml_declaration=False) + "\n"


def _count(element: ET.Element, cases: list[ET.Element]) -> None:
    element.set("tests", str(len(cases)))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(name, str(sum(case.find(tag) is not None for case in cases)))


def _case(finding: Finding) -> ET.Element:
    case = _named(finding.check, finding.target, finding.subject)
    body = code("\n".join(_story(finding)))
    if finding.severity >= FAILS:
        failure = ET.SubElement(case, "failure", message=line(finding.summary))
        failure.set("type", words.severity(finding.severity))
        failure.text = body
    else:
        ET.SubElement(case, "system-out").text = body
    return case


def _story(finding: Finding) -> list[str]:
    lines = [f"{words.severity(finding.severity)}: {finding.summary}"]
    lines += [f"{e.fact}: {words.value(e)}" for e in finding.evidence]
    for fix in finding.fixes:
        lines += [f"Fix: {fix.title}", *fix.commands]
    return lines


def _named(what: str, target: str, subject: str = "") -> ET.Element:
    name = f"{what}: {subject}" if subject else what
    return ET.Element("testcase", classname=line(target or "scan", 200), name=line(name, 300))


def _area(check: str) -> str:
    return line(check.partition(".")[0], 60) or "other"
