"""Files that are whole at every moment: the old one or the new one, whatever happens."""

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file in one step; a pipe, a device, or a file in a closed folder is written into.

    Raises:
        OSError: it cannot be written; a file that was there is as it was.
    """
    place = path.resolve()
    special = place.exists() and not place.is_file()
    if special or not os.access(place.parent, os.W_OK):
        place.write_bytes(data)
        return
    new = place.with_name(f".{place.name}.{os.getpid()}.new")
    try:
        with new.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            new.chmod(place.stat().st_mode & 0o7777)
        new.replace(place)
    finally:
        new.unlink(missing_ok=True)
