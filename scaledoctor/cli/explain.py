"""``scaledoctor explain``: one plan, read, timed and judged."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaledoctor.cli import _options as opt
from scaledoctor.errors import Exit, ScaledoctorError

if TYPE_CHECKING:
    from scaledoctor.plans.draw import Told

HINT = "give a FILE with a plan, - for stdin, or --query with --dsn"


class Analyze(StrEnum):
    """Whether a statement may be run."""

    AUTO = "auto"
    NEVER = "never"
    ALWAYS = "always"


class Form(StrEnum):
    """How the plan is written."""

    TERMINAL = "terminal"
    MARKDOWN = "markdown"


def explain(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="What EXPLAIN printed; - is stdin.")
    ] = None,
    query: Annotated[
        str | None, typer.Option(metavar="SQL", help="Get the plan of this statement instead.")
    ] = None,
    dsn: Annotated[str | None, typer.Option(metavar="DSN", help="The database to ask.")] = None,
    analyze: Annotated[
        Analyze, typer.Option(help="Run the statement: auto only when it is proved harmless.")
    ] = Analyze.AUTO,
    output: Annotated[Form, typer.Option("-o", "--output", help="How it is written.")] = (
        Form.TERMINAL
    ),
    show_literals: opt.ShowLiterals = False,
) -> int:
    """Read a plan and say what is wrong with it."""
    from scaledoctor.cli._output import style
    from scaledoctor.plans.draw import RENDERERS

    if (file is None) == (query is None):
        raise ScaledoctorError("explain: one plan or one statement is needed", HINT)
    if query is None:
        if dsn is not None:
            raise ScaledoctorError("--dsn has no use without --query", HINT)
        told = _read(file or Path("-"), show_literals=show_literals)
    else:
        told = _asked(query, dsn, analyze, show_literals=show_literals)
    drawn = style(opt.Color.NEVER, 0)
    text = RENDERERS[output](told, width=drawn.width, unicode=drawn.unicode)
    sys.stdout.buffer.write(text.encode(errors="backslashreplace"))
    sys.stdout.flush()
    return Exit.OK


def _read(file: Path, *, show_literals: bool) -> "Told":
    from scaledoctor.plans.draw import Told
    from scaledoctor.plans.judge import judge
    from scaledoctor.plans.read import read_plan
    from scaledoctor.plans.tree import masked

    where = "stdin" if str(file) == "-" else str(file)
    try:
        data = sys.stdin.buffer.read() if where == "stdin" else file.read_bytes()
    except OSError as error:
        raise ScaledoctorError(f"{file}: {error.strerror}") from None
    plan = read_plan(data.decode(errors="replace"), where)
    plan = plan if show_literals else masked(plan)
    return Told(plan, judge(plan))


def _asked(query: str, dsn: str | None, analyze: Analyze, *, show_literals: bool) -> "Told":
    import os

    from scaledoctor.plans.draw import Told
    from scaledoctor.plans.judge import judge
    from scaledoctor.plans.tree import masked
    from scaledoctor.sources.postgres.plans_ask import ask
    from scaledoctor.targets.postgres import libpq_target, postgres_target

    target = postgres_target(dsn) if dsn is not None else libpq_target(os.environ)
    answer = ask(target, query, analyze.value)
    plan = masked(answer.plan) if answer.sampled or not show_literals else answer.plan
    return Told(plan, judge(plan, query), answer.notes, answer.advice)
