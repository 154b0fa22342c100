"""Options that several commands share."""

from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import Annotated

import typer

from scaledoctor.cli._config import configured
from scaledoctor.model import Severity


def _finite(seconds: float) -> float:
    if not isfinite(seconds):
        raise typer.BadParameter("not a number of seconds")
    return seconds


Window = Annotated[
    float,
    typer.Option(
        min=0,
        max=600,
        metavar="SECONDS",
        callback=_finite,
        envvar="SCALEDOCTOR_WINDOW",
        help="How long to look; 0 is one shot.",
    ),
]

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        is_eager=True,
        callback=configured,
        envvar="SCALEDOCTOR_CONFIG",
        help="scaledoctor.toml or pyproject.toml; without it the nearest one, /dev/null for none.",
    ),
]

ChecksDir = Annotated[
    list[Path] | None,
    typer.Option("--checks-dir", metavar="FOLDER", help="Local check files too (repeatable)."),
]

Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Only the verdict and the causes.")]

Verbose = Annotated[
    int, typer.Option("-v", "--verbose", count=True, help="Minor findings; -vv for everything.")
]

ShowLiterals = Annotated[
    bool, typer.Option("--show-literals", help="Keep the literals of SQL statements.")
]


class Color(StrEnum):
    """When to use colour."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class FailOn(StrEnum):
    """From which severity a finding makes the exit code 1."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def severity(self) -> Severity | None:
        """The severity, None for ``none``."""
        return None if self is FailOn.NONE else Severity[self.name]


ColorOption = Annotated[Color, typer.Option("--color", help="Colour in the terminal report.")]
