"""Packed files, whole, in several members, cut and corrupt."""

import bz2
import gzip
import lzma
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from scaledoctor.errors import Unavailable
from scaledoctor.logs.packing import Damaged, Packing, packing, unpacked
from scaledoctor.logs.readers import gathered, open_log

TEXT = b"".join(b"line %d of a log\n" % i for i in range(50_000))
PACK: dict[Packing, Callable[[bytes], bytes]] = {
    Packing.GZIP: gzip.compress,
    Packing.BZIP2: bz2.compress,
    Packing.XZ: lzma.compress,
}
EACH = pytest.mark.parametrize("how", PACK)


def read(path: Path, data: bytes) -> bytes:
    path.write_bytes(data)
    log = open_log(path)
    with closing(log.file) as file:
        return b"".join(unpacked(file, log.packing))


@EACH
def test_a_packed_file_is_recognised_by_its_first_bytes(how: Packing, tmp_path: Path) -> None:
    """Whatever its name is."""
    assert packing(PACK[how](TEXT)) is how
    assert read(tmp_path / "access.log", PACK[how](TEXT)) == TEXT


@EACH
def test_several_members_are_read_one_after_the_other(how: Packing, tmp_path: Path) -> None:
    assert read(tmp_path / "x", PACK[how](TEXT) + PACK[how](b"more\n")) == TEXT + b"more\n"


@EACH
def test_of_a_cut_file_the_beginning_is_read(how: Packing, tmp_path: Path) -> None:
    """bzip2 gives whole blocks of 900 kB only."""
    data = PACK[how](TEXT * 4)
    path = tmp_path / "x"
    path.write_bytes(data[: len(data) * 3 // 4])
    found: list[bytes] = []
    log = open_log(path)
    with closing(log.file) as file, pytest.raises(Damaged):
        found.extend(gathered(unpacked(file, log.packing)))
    assert found[-1].endswith(b"\n")
    assert (TEXT * 4).startswith(b"".join(found))
    assert len(b"".join(found)) > 100_000


@EACH
def test_a_corrupt_file_is_damaged(how: Packing, tmp_path: Path) -> None:
    data = PACK[how](TEXT)
    with pytest.raises(Damaged):
        read(tmp_path / "x", data[:20] + b"\xff" * 200 + data[220:])


def test_plain_text_is_plain() -> None:
    assert packing(b"127.0.0.1 - -") is Packing.PLAIN
    assert packing(b"") is Packing.PLAIN


def test_zstd_without_a_library_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "compression", None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(Unavailable, match="zstd") as told:
        read(tmp_path / "x", b"\x28\xb5\x2f\xfd" + b"\0" * 20)
    assert "zstandard" in told.value.enable


def test_zstd_is_read_where_there_is_a_library(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    data = zstandard.compress(TEXT) + zstandard.compress(b"more\n")
    assert read(tmp_path / "x", data) == TEXT + b"more\n"
    with pytest.raises(Damaged):
        read(tmp_path / "x", data[:20] + b"\xff" * 200 + data[220:])
