"""``scaledoctor demo``: a real shop, a real fault, the verdict, its fix, the proof."""

from typing import Annotated

import typer

from scaledoctor.cli import _options as opt


def demo(
    fault: Annotated[
        str, typer.Option(metavar="NAME", help="Which fault; an unknown one lists them.")
    ] = "idle-in-transaction",
    seed: Annotated[int, typer.Option(help="Varies names, sizes and rates.")] = 0,
    color: opt.ColorOption = opt.Color.AUTO,
) -> int:
    """Start a real shop on an embedded PostgreSQL, break it, scan it, and apply the fix."""
    from scaledoctor.cli._output import style
    from scaledoctor.demo.show import run_demo

    look = style(color, 0)
    return run_demo(fault, seed=seed, color=look.color, width=look.width, unicode=look.unicode)
