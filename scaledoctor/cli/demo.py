"""``scaledoctor demo``: a real shop, a real fault, the verdict, its fix, the proof."""

from typing import Annotated

import typer

from scaledoctor.cli import _options as opt


def demo(
    fault: Annotated[
        str, typer.Option(metavar="NAME", help="One of the faults above.")
    ] = "idle-in-transaction",
    seed: Annotated[int, typer.Option(help="Varies names, sizes and rates.")] = 0,
    color: opt.ColorOption = opt.Color.AUTO,
) -> int:
    """Start a real shop on an embedded PostgreSQL, break it, scan it, and apply the fix.

    \b
    Faults:
      idle-in-transaction  a job forgets to commit, and everybody waits for it
      connection-leak      a program never closes its connections
      ddl-queue            a schema change queues behind a report
      missing-index        an index is dropped that a page lives on
      n-plus-one           a page asks for each row of its list by itself
      pool-too-small       a pool of 2 before a database with room (PgBouncer)
      slow-backend         one of three instances is slow (HAProxy)
      backend-down         two of three instances are gone (HAProxy)
      cache-evictions      a cache of pages is a third of what it was (Redis)
      too-few-workers      one worker of twelve came back (Redis)
      healthy              nothing happens, and nothing is named
    """  # noqa: D301  click takes the character itself as "do not wrap"
    from scaledoctor.cli._output import style
    from scaledoctor.demo.show import run_demo

    look = style(color, 0)
    return run_demo(fault, seed=seed, color=look.color, width=look.width, unicode=look.unicode)
