"""Numbers, sessions and statements as people read them."""

from scaledoctor.sources.postgres import Session
from scaledoctor.sql import shorten


def duration(seconds: float | None) -> str:
    """3.2 s, 4 min, 2.5 h."""
    if seconds is None:
        return "an unknown time"
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def who(session: Session) -> str:
    """Application (pid 123, user shop, from 10.0.0.7)."""
    user = f", user {session.user}" if session.user else ""
    origin = f", from {session.client}" if session.client else ""
    return f"{session.label} (pid {session.pid}{user}{origin})"


def statement(text: str, width: int = 90) -> str:
    """The statement on one line, or a word that says there is none."""
    return shorten(text, width) if text else "(statement not visible)"
