"""``scaledoctor init``: a first scaledoctor.toml from what the project's files say."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaledoctor.errors import ScaledoctorError

if TYPE_CHECKING:
    from scaledoctor.config.discover import Found

HEAD = """\
# scaledoctor scan reads this file. All keys: docs/configuration.md.
# What holds here and why: scaledoctor config show --origin
# Secrets stay outside: PGPASSFILE, ~/.pg_service.conf, or ${NAME} from the environment.

[scan]
# window = 10           # seconds
# fail-on = "high"      # exit code 1 from this severity on
# strict = true         # exit code 4 when something could not be looked at

[targets]
"""

TAIL = """\

# [thresholds."postgres.idle-in-transaction"]    # scaledoctor checks show ID lists them
# older_than = 120

# [[ignore]]
# check = "postgres.connection-churn"
# reason = "the pooler lands in March"
# until = 2027-03-31
"""


def init(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where to; - is stdout.")
    ] = Path("scaledoctor.toml"),
) -> None:
    """Write a first configuration from the environment and the project's files."""
    from scaledoctor.config.discover import discover
    from scaledoctor.targets import OPTIONS

    found = discover(Path.cwd(), os.environ, frozenset(option.name for option in OPTIONS))
    text = document(found)
    if str(output) == "-":
        sys.stdout.write(text)
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ScaledoctorError(
            f"{output} is there already", "-o - shows what it would be"
        ) from None
    except OSError as error:
        raise ScaledoctorError(f"cannot write {output}: {error.strerror}") from None
    targets = "1 target" if len(found) == 1 else f"{len(found)} targets"
    sys.stderr.write(f"wrote {output}: {targets}; read it, then: scaledoctor scan\n")


def document(found: "Sequence[Found]") -> str:
    """The file: one key for each kind of target, with where each value was found."""
    lines: list[str] = []
    for option in dict.fromkeys(f.option for f in found):
        lines.append(f"{option} = [")
        lines += [f'  "{f.value}",  # {f.where}' for f in found if f.option == option]
        lines.append("]")
    nothing = '# dsn = ["service=shop"]    # nothing was found here'
    return HEAD + "\n".join(lines or [nothing]) + "\n" + TAIL
