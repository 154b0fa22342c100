"""What collectors and clouds put around PostgreSQL's lines: taken off, the log is as any other."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scaledoctor.logs.sql import clouds
from scaledoctor.logs.sql.lines import syslog_line

Unwrapped = tuple[bytes, int]
"""The block without its wrapper, and how many of its lines are none of it."""


@dataclass(frozen=True, slots=True)
class Wrapper:
    """One way to wrap lines.

    ``head`` matches what stands before each line; where ``through`` is set the line behind it is
    PostgreSQL's own, so that a block may be cut before it only where a message begins.
    """

    head: bytes
    unwrap: Callable[[bytes], Unwrapped]
    through: bool = False

    def start(self, inner: re.Pattern[bytes]) -> re.Pattern[bytes]:
        """Where a block may be cut."""
        behind = inner.pattern.removeprefix(b"^") if self.through else b""
        return re.compile(b"^(?:%s)%s" % (self.head, behind), re.M)


def _stripped(head: bytes, *, joined: bytes = b"") -> Callable[[bytes], Unwrapped]:
    """Cut a head off each line; ``joined`` marks lines whose end is in the next one."""
    pattern = re.compile(b"^(?:%s)" % head)

    def unwrap(block: bytes) -> Unwrapped:
        kept: list[bytes] = []
        unread = 0
        for line in block.split(b"\n"):
            found = pattern.match(line)
            if found is None:
                unread += bool(line.strip()) and not line.startswith(b"\t")
                kept += [line, b"\n"] if line.startswith(b"\t") else []
                continue
            more = joined and line[: found.end()].endswith(joined)
            kept.append(line[found.end() :] + (b"" if more else b"\n"))
        return b"".join(kept), unread

    return unwrap


def _rewritten(rewrite: Callable[[bytes], bytes | None]) -> Callable[[bytes], Unwrapped]:
    """Put other lines for each line; None for one that is not of this kind."""

    def unwrap(block: bytes) -> Unwrapped:
        kept: list[bytes] = []
        unread = 0
        for line in block.splitlines():
            found = rewrite(line) if line.strip() else b""
            if found is None:
                unread += 1
            elif found:
                kept.append(found.rstrip(b"\n") + b"\n")
        return b"".join(kept), unread

    return unwrap


_ISO = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_CRI = _ISO + rb" (?:stdout|stderr) [FP] "
_CLOUDWATCH = _ISO + rb"\s(?=\d{4}-\d\d-\d\d \d\d:)"
_SYSLOG = (
    rb"(?:<\d{1,3}>)?(?:1 )?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|%s) "
    rb"\S{1,255} (?:\S{1,48}\[\d+\]:|\S{1,48} \d+ \S+ \S+) ?(?:\[\d+-1\] )?(?!\[\d+-\d+\])" % _ISO
)
_HEROKU = _ISO + rb" app\[postgres\.\d+\]: "

WRAPPERS: Mapping[str, Wrapper] = {
    "kubernetes": Wrapper(_CRI, _stripped(_CRI, joined=b" P "), through=True),
    "CloudWatch": Wrapper(_CLOUDWATCH, _stripped(_CLOUDWATCH), through=True),
    "Heroku": Wrapper(_HEROKU, _rewritten(clouds.heroku)),
    "syslog": Wrapper(_SYSLOG, _rewritten(syslog_line)),
    "docker": Wrapper(rb'\{"log": ?"', _rewritten(clouds.docker)),
    "journald": Wrapper(rb"\{(?=[^\n]*\"MESSAGE\":)", _rewritten(clouds.journald)),
    "Azure": Wrapper(rb"\{(?=[^\n]*\"properties\":)", _rewritten(clouds.azure)),
    "Cloud SQL": Wrapper(rb"\{(?=[^\n]*\"textPayload\":)", clouds.cloud_sql),
    "CloudNativePG": Wrapper(rb"\{(?=[^\n]*\"record\":)", _rewritten(clouds.cnpg)),
    "Supabase": Wrapper(rb"\{(?=[^\n]*\"event_message\":)", _rewritten(clouds.supabase)),
}
