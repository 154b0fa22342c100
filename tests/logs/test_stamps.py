"""Time stamps in the forms that logs have."""

import pytest

from scaledoctor.logs import stamps

TEN = 1_795_600_800.0  # 2026-11-25 10:00:00 UTC


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        (b'::1 - - [25/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200', TEN),
        (b"[25/Nov/2026:12:00:00 +0200] x", TEN),
        (b"[25/Nov/2026:04:30:00 -0530] x", TEN),
        (b"x haproxy[1]: ::1:5 [25/Nov/2026:10:00:00.250] web", TEN + 0.25),
        (b"[25/Xyz/2026:10:00:00 +0000]", None),
        (b"no time here", None),
        (b"", None),
    ],
)
def test_common(line: bytes, seconds: float | None) -> None:
    assert stamps.common(line) == seconds


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        (b"[2026-11-25T10:00:00.310Z] x", TEN + 0.31),
        (b"2026-11-25 10:00:00.310 UTC [77] LOG:  x", TEN + 0.31),
        (b"2026-11-25T12:00:00+02:00", TEN),
        (b"2026-11-25T05:00:00-0500", TEN),
        (b"2026-11-25 10:00:00,250 INFO", TEN + 0.25),
        (b"2026-99-25 10:00:00", None),
        (b"1795600800", None),
    ],
)
def test_iso(line: bytes, seconds: float | None) -> None:
    assert stamps.iso(line) == seconds
