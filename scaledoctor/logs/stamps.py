"""Time stamps of log lines, as seconds since 1970."""

import re
from calendar import timegm

_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun",
           b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")  # fmt: skip

_CLF = re.compile(
    rb"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)(\.\d{1,9})?(?: ([+-])(\d\d)(\d\d))?"
)
_ISO = re.compile(
    rb"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)([.,]\d{1,9})?"
    rb"(?: ?(?:Z|UTC|GMT|([+-])(\d\d):?(\d\d)))?"
)


def common(line: bytes) -> float | None:
    """The first ``10/Oct/2000:13:55:36 -0700`` of a line; without a zone it is taken as UTC."""
    found = _CLF.search(line)
    if found is None or found[2] not in _MONTHS:
        return None
    day, month, year = int(found[1]), _MONTHS.index(found[2]) + 1, int(found[3])
    return _seconds(found, (year, month, day))


def iso(line: bytes) -> float | None:
    """The first ``2000-10-10 13:55:36.789`` of a line; without a zone it is taken as UTC."""
    found = _ISO.search(line)
    if found is None:
        return None
    return _seconds(found, (int(found[1]), int(found[2]), int(found[3])))


def _seconds(found: re.Match[bytes], date: tuple[int, int, int]) -> float | None:
    """Add time of day, fraction and zone (groups 4 to 10) to a date."""
    if not (1 <= date[1] <= 12 and 1 <= date[2] <= 31):
        return None
    hour, minute, second = int(found[4]), int(found[5]), int(found[6])
    fraction = float(b"0." + found[7][1:]) if found[7] else 0.0
    zone = 0
    if found[8]:
        zone = (int(found[9]) * 60 + int(found[10])) * 60
        zone = -zone if found[8] == b"-" else zone
    return timegm((*date, hour, minute, second)) + fraction - zone
