"""A bound on the findings of one check, for balancers with thousands of groups."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from scaledoctor.sdk import Evidence, Finding

MOST = 20
"""Findings that one check gives; with a thousand alike the worst are enough."""


def bounded(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The worst of them; the last one says how many more there are."""
    found = sorted(findings, key=lambda f: (-f.severity, -f.impact, f.subject))
    if len(found) > MOST:
        rest = Evidence("more alike, not listed", float(len(found) - MOST), "findings")
        found[MOST - 1] = replace(found[MOST - 1], evidence=(*found[MOST - 1].evidence, rest))
    yield from found[:MOST]
