"""A log with SQL statements as a target."""

from dataclasses import replace

from scaledoctor.targets.address import file_target
from scaledoctor.targets.target import Target


def sql_log_target(path: str) -> Target:
    """Build a target from a file that exists.

    Raises:
        ScaledoctorError: no such file.

    """
    return replace(file_target("log", path), kind="sql-log")
