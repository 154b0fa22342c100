"""A DSN kept in a file or sent on stdin: no other user of the machine can see it."""

from pathlib import Path

from scaledoctor.errors import ScaledoctorError
from scaledoctor.targets.postgres import postgres_target
from scaledoctor.targets.target import Target

LONGEST = 1 << 16
"""Bytes that are read: a DSN is never as long."""


def postgres_file_target(path: str) -> Target:
    """Build a PostgreSQL target from the first line of a file; ``-`` is stdin.

    Raises:
        ScaledoctorError: the file cannot be read, or its first line is no DSN.
    """
    try:
        with open(0 if path == "-" else Path(path), "rb", closefd=path != "-") as file:
            data = file.read(LONGEST)
    except OSError as error:
        raise ScaledoctorError(f"--dsn-file {path}: {error.strerror}") from None
    text = data.decode("utf-8", "replace").lstrip("\ufeff").strip()
    lines = text.splitlines()
    if len(lines) != 1:
        what = "it is empty" if not lines else "more than one line"
        raise ScaledoctorError(f"--dsn-file {path}: {what}", "the DSN stands alone on one line")
    return postgres_target(lines[0], f"--dsn-file {path}")
