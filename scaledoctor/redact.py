"""Secrets and literals are masked where they enter, before a fact is stored, and counted."""

import re
from collections import Counter
from dataclasses import dataclass, field

MASK = "***"

# Each rule: what it masks, and a pattern whose group "keep" (if any) stays in front of the mask.
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "url password",
        re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@]*(?=@)", re.I),
    ),
    (
        "password",
        re.compile(
            r"(?P<keep>\b(?:password|passwd|pwd|secret|token|api[_-]?key|pgpassword)\s*[=:]\s*)"
            r"(?:'(?:[^'\\]|\\.|'')*'|\"[^\"]*\"|[^\s&,;'\")]+)",
            re.I,
        ),
    ),
    (
        "sql password",
        re.compile(r"(?P<keep>\bpassword\s+)(?:E?'(?:[^']|'')*')", re.I),
    ),
    ("authorization", re.compile(r"(?P<keep>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}", re.I)),
    ("aws key", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("jwt", re.compile(r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*")),
    ("email", re.compile(r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}\b")),
)


@dataclass(slots=True)
class Redactor:
    """Masks text on its way into facts and counts what it masked, by rule."""

    show_literals: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def text(self, value: str) -> str:
        """Mask secrets in any text from outside: names, messages, settings."""
        for rule, pattern in _RULES:
            value, n = pattern.subn(_masked, value)
            if n:
                self.counts[rule] += n
        return value

    def sql(self, value: str) -> str:
        """Replace a statement's literals by placeholders, unless literals are to be shown."""
        if self.show_literals or not value:
            return self.text(value)
        from scaledoctor.sql import normalise

        clean = normalise(value)
        if clean != value:
            self.counts["sql literals"] += 1
        return self.text(clean)


def _masked(match: re.Match[str]) -> str:
    keep = match.groupdict().get("keep") or ""
    return f"{keep}{MASK}"
