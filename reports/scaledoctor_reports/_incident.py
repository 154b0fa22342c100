"""What an incident's report needs beside the diagnosis; people fill in what only they know."""

from collections.abc import Iterator

from scaledoctor.model import State
from scaledoctor.report import Diagnosis, Report
from scaledoctor_reports import _words as words
from scaledoctor_reports.escape import line
from scaledoctor_reports.escape import markdown as inert

TODO = "TODO"
"""Printed on purpose: the mark in the document where only a human can write."""


def impact(report: Report) -> Iterator[str]:
    """What was measured of it, and what only people can say."""
    yield "## Impact\n"
    share = report.diagnoses[0].finding.impact if report.diagnoses else 0.0
    if share:
        yield f"- {share:.0%} of the time in sessions, requests or workers went to the cause"
    for row in report.headroom:
        if row.state is State.SATURATED:
            trouble = words.trouble(row)
            more = f", {inert(trouble)}" if trouble else ""
            yield f"- {inert(row.resource)} was full: {inert(words.used(row))}{more}"
    yield f"- {TODO}: what users saw, since when, until when, how many of them\n"


def timeline(report: Report) -> Iterator[str]:
    """What happened when; people add what no system knows."""
    if not report.timeline:
        return
    yield "## Timeline (UTC)\n"
    yield "| time | what |\n|---|---|"
    for moment in report.timeline:
        yield f"| {moment.at:%Y-%m-%d %H:%M:%S} | {inert(moment.what)} |"
    yield ""


def mermaid(diagnosis: Diagnosis) -> Iterator[str]:
    """The blame chain as a diagram that GitHub and GitLab draw."""
    hops = diagnosis.chain
    if len(hops) < 2:
        return
    yield "```mermaid\nflowchart TD"
    for number, hop in enumerate(hops):
        last = number == len(hops) - 1
        text = f"root cause: {diagnosis.finding.subject}" if last else hop.text
        yield f'  n{number}["{_label(text)}"]'
        if number:
            share = f'|"{hop.share:.0%} of it"|' if hop.share is not None else ""
            yield f"  n{number - 1} -->{share} n{number}"
    yield "```\n"


def follow_ups(report: Report) -> Iterator[str]:
    """What remains after the fix: the other ways, the risks, the blind spots, each with a box."""
    first = report.diagnoses[0].finding if report.diagnoses else None
    later = [fix.title for fix in (first.fixes[1:] if first else ())]
    later += [d.finding.fixes[0].title for d in report.diagnoses[1:] if d.finding.fixes]
    later += [f.fixes[0].title for f in (*report.risks, *report.blind_spots) if f.fixes]
    if not later:
        return
    yield "## Follow-ups\n"
    for title in dict.fromkeys(later):
        yield f"- [ ] {inert(title)} ({TODO}: owner, due)"
    yield f"- [ ] {TODO}: why did nobody see it earlier?\n"


def _label(text: str) -> str:
    """Text for a Mermaid label: whatever could be syntax there becomes a character's number."""
    return "".join(
        c if c.isalnum() or c in " .,:%()_/-" else f"#{ord(c)};" for c in line(text, 120)
    )
