"""Where a finding stands in a repository: the file and line of its evidence, or the project's."""

import re

from scaledoctor.model import Finding

PROJECT = "scaledoctor.toml"
"""The file that stands for a running system: annotations without a file are not shown."""

_PLACE = re.compile(r"(?:\./|/)*(?P<file>[^\s:]*\w\.\w+|[^\s:]+/[^\s:]+):(?P<line>[1-9]\d{0,6})")


def place(finding: Finding) -> tuple[str, int]:
    """The first ``file:line`` among the sources of the evidence, as a relative path."""
    for evidence in finding.evidence:
        found = _PLACE.fullmatch(evidence.source.strip())
        if found:
            return found["file"], int(found["line"])
    return PROJECT, 1
