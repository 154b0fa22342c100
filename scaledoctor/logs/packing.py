"""Compressed files: recognised by their first bytes, unpacked as a stream."""

from collections.abc import Iterator
from enum import StrEnum
from typing import IO, Any

from scaledoctor.errors import Unavailable

CHUNK = 1 << 16


class Packing(StrEnum):
    """How a file is packed; the value is the end of its name."""

    PLAIN = ""
    GZIP = "gz"
    BZIP2 = "bz2"
    XZ = "xz"
    ZSTD = "zst"
    LZ4 = "lz4"


_MAGIC = {
    b"\x1f\x8b": Packing.GZIP,
    b"BZh": Packing.BZIP2,
    b"\xfd7zXZ\x00": Packing.XZ,
    b"\x28\xb5\x2f\xfd": Packing.ZSTD,
    b"\x04\x22\x4d\x18": Packing.LZ4,
}


class Damaged(Exception):  # noqa: N818  it is a state of the file
    """The stream ends early or makes no sense; what came before it is good."""


def packing(head: bytes) -> Packing:
    """Recognise a packing by the first bytes of a file."""
    return next((p for magic, p in _MAGIC.items() if head.startswith(magic)), Packing.PLAIN)


def unpacked(file: IO[bytes], how: Packing) -> Iterator[bytes]:
    """Yield the unpacked bytes in chunks, several members one after the other.

    Raises:
        Damaged: the file is cut or corrupt.
        Unavailable: zstd or lz4, and no library for it.

    """
    import lzma
    import zlib

    file.seek(0)
    stream, more = _stream(file, how)
    broken: tuple[type[Exception], ...] = (EOFError, OSError, zlib.error, lzma.LZMAError, *more)
    try:
        # read1: what was unpacked before an error is not lost with it.
        while chunk := stream.read1(CHUNK):
            yield chunk
    except broken as error:
        raise Damaged(str(error)) from None


def _stream(file: IO[bytes], how: Packing) -> tuple[Any, tuple[type[Exception], ...]]:
    """A stream to read from, and the errors that its library adds to the usual ones."""
    match how:
        case Packing.GZIP:
            import gzip

            return gzip.GzipFile(fileobj=file), ()
        case Packing.BZIP2:
            import bz2

            return bz2.BZ2File(file), ()
        case Packing.XZ:
            import lzma

            return lzma.LZMAFile(file), ()
        case Packing.LZ4:
            return _lz4(file), (RuntimeError,)
    return _zstd(file)


def _lz4(file: IO[bytes]) -> Any:
    import importlib

    try:
        library = importlib.import_module("lz4.frame")
    except ImportError:
        enable = "pip install lz4, or: lz4 -dc FILE | scaledoctor logs -"
        raise Unavailable("it is packed with lz4, which needs a library", enable) from None
    return library.LZ4FrameFile(file)


def _zstd(file: IO[bytes]) -> tuple[Any, tuple[type[Exception], ...]]:
    """Python 3.14 brings zstd, earlier ones need the package zstandard."""
    import importlib

    try:
        library = importlib.import_module("compression.zstd")
        return library.ZstdFile(file), (library.ZstdError,)
    except ImportError:
        pass
    try:
        library = importlib.import_module("zstandard")
    except ImportError:
        enable = "pip install zstandard, or: zstd -d FILE"
        raise Unavailable("it is packed with zstd, which needs a library", enable) from None
    import io

    reader = library.ZstdDecompressor().stream_reader(file, read_across_frames=True)
    return io.BufferedReader(reader), (library.ZstdError,)
