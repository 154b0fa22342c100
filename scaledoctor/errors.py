"""Errors that people see as one line, and the exit codes, which are API."""

from enum import IntEnum


class Exit(IntEnum):
    """What the process tells its caller; the table stands in the README."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    UNREACHABLE = 3
    PARTIAL = 4
    REGRESSION = 5
    INTERNAL = 70
    INTERRUPTED = 130


class ScaledoctorError(Exception):
    """Something the user can mend: what is wrong, a hint what to do, the exit code."""

    def __init__(self, message: str, hint: str = "", code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class Unavailable(Exception):  # noqa: N818  it is a reason for a skip, not a failure of ours
    """A source cannot see something: why, and what would enable it.

    Raised by sources and probes; the engine turns it into ``skipped(reason, enable)``.
    """

    def __init__(self, reason: str, enable: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.enable = enable


class Unreachable(Exception):  # noqa: N818  it becomes a fact, not a failure of ours
    """A target did not let us in.

    ``category`` is one word of the source's vocabulary ("slots", "auth", "dns", "tls",
    "timeout", "refused", ...), ``code`` the system's own code (an SQLSTATE, an errno name).
    """

    def __init__(self, category: str, message: str, code: str = "", enable: str = "") -> None:
        super().__init__(message)
        self.category = category
        self.message = message
        self.code = code
        self.enable = enable
