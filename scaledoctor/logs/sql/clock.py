"""Times of log lines; the seconds of a line are mostly those of the line before."""

from scaledoctor.logs.stamps import iso


class Clock:
    """Turns ``2026-11-24 10:00:00`` and a zone into seconds since 1970 and remembers the last.

    A named zone that is not UTC cannot be told from its name (IST is three): it is taken as UTC,
    so that spans are right and only the hour of the day is off.
    """

    __slots__ = ("_last", "_seconds")

    def __init__(self) -> None:
        self._last = b""
        self._seconds = 0.0

    def __call__(self, second: bytes, zone: bytes = b"") -> float:
        """Seconds of a time without its fraction; 0 when it is none."""
        if second != self._last:
            self._last = second
            offset = zone if zone[:1] in b"+-" and zone else b""
            self._seconds = iso(second + b" " + _offset(offset)) or 0.0
        return self._seconds


def _offset(zone: bytes) -> bytes:
    """``+05`` as ``+0500``; a longer one stays."""
    return zone + b"00" if len(zone) == 3 else zone
