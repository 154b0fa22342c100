"""What a configuration file can say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from scaledoctor.model import Finding, Severity


@dataclass(frozen=True, slots=True)
class Ignore:
    """A finding that is accepted for now, and why.

    ``target`` and ``subject`` are patterns (``*``, ``?``); ``until`` is the last day on which it
    holds. A critical or high finding needs one: what is accepted for ever is forgotten.
    """

    check: str
    reason: str
    until: date | None = None
    target: str = "*"
    subject: str = "*"

    def covers(self, finding: Finding) -> bool:
        """Whether it speaks of this finding, whatever the day."""
        return (
            finding.check == self.check
            and fnmatchcase(finding.target, self.target)
            and fnmatchcase(finding.subject, self.subject)
        )

    def holds(self, finding: Finding, today: date) -> bool:
        """Whether it keeps this finding out of the report on that day."""
        if self.until is None:
            return finding.severity < Severity.HIGH
        return today <= self.until


@dataclass(frozen=True, slots=True)
class Config:
    """One file, read and checked; empty where there is none.

    ``scan`` holds option values by name, ``targets`` values by target option, ``names`` the name
    that a target's value was given, ``thresholds`` values by plug-in and threshold.
    """

    path: Path | None = None
    scan: Mapping[str, float | str | bool] = field(default_factory=dict)
    targets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    names: Mapping[tuple[str, str], str] = field(default_factory=dict)
    thresholds: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    ignores: tuple[Ignore, ...] = ()
