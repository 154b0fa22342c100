"""Files that are no snapshot get one clear line."""

from pathlib import Path

import pytest

from scaledoctor.errors import ScaledoctorError
from scaledoctor.snapshot import loads, read

CASES = {
    "not JSON": b"hello",
    "cut off": b'{"schema_version": 1, "records": [',
    "a list": b"[1, 2]",
    "another document": b'{"a": 1}',
    "not text": b"\xff\xfe\x00",
    "empty": b"",
    "a field is missing": b'{"schema_version": 1, "records": []}',
    "another schema": b'{"schema_version": 99, "records": []}',
}


@pytest.mark.parametrize("data", CASES.values(), ids=CASES.keys())
def test_what_is_no_snapshot_is_refused_in_one_line(data: bytes) -> None:
    """The message names the file and says what is wrong."""
    with pytest.raises(ScaledoctorError, match=r"s\.json") as error:
        loads(data, {}, "s.json")
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """So is a folder."""
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(ScaledoctorError) as error:
            read(path, {})
        assert str(path) in str(error.value)
