"""The whole ladder for one statement that somebody asks about."""

from dataclasses import dataclass

from scaledoctor.errors import Exit, ScaledoctorError, Unavailable
from scaledoctor.plans.tree import Plan
from scaledoctor.sources.postgres._refusal import refusal
from scaledoctor.sources.postgres.plans_index import advised, hypothetical
from scaledoctor.sources.postgres.plans_ladder import Rung, climb
from scaledoctor.sources.postgres.plans_own import Own, in_time, own
from scaledoctor.sources.postgres.plans_run import analysed
from scaledoctor.targets import Target

SECONDS = 30.0
"""For all that one question takes."""

_WAYS = {
    "literal": "planned as it is written",
    "filled": "planned with values out of the statistics in place of its parameters",
    "generic": "planned for unknown values: a plan with real ones may differ",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A plan, how it was got, and what would make it better.

    ``sampled`` means that it holds values of the database's own, which must not be shown.
    """

    plan: Plan
    sampled: bool
    notes: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


def ask(target: Target, query: str, analyze: str) -> Answer:
    """Plan one statement and, where that is allowed and proved harmless, run it.

    Raises:
        ScaledoctorError: not reachable, no plan to be had, or the server refuses.
    """
    from scaledoctor.loop import run

    return run(_ask(target.dsn, query.strip().rstrip(";"), analyze))


async def _ask(dsn: str, query: str, analyze: str) -> Answer:
    import psycopg

    try:
        async with own(dsn, SECONDS) as connection:
            try:
                answer = _answer(connection, query, analyze)
                return await in_time(connection, answer, SECONDS + 1.0)
            except psycopg.Error as error:
                line = str(error).splitlines()[0]
                raise ScaledoctorError(f"--query: the server says: {line}") from None
    except Unavailable as absent:
        raise ScaledoctorError(f"--query: {absent.reason}", absent.enable) from None
    except psycopg.Error as error:
        said = refusal(str(error))
        raise ScaledoctorError(said.message, said.enable, Exit.UNREACHABLE) from None


async def _answer(connection: Own, query: str, analyze: str) -> Answer:
    rung = await climb(connection, query)
    notes, plan = [_WAYS[rung.way]], rung.plan
    if rung.sensitive:
        notes.append("other values get another plan: its cost depends on them")
    if analyze != "never" and rung.way != "generic":
        insisted = analyze == "always"
        done = await analysed(connection, rung.statement, rung.plan, insisted=insisted)
        plan = done.plan or plan
        notes += _words(done.plan is not None, done.reasons)
    sampled = rung.way == "filled"
    return Answer(plan, sampled, tuple(notes), await _advice(connection, rung))


def _words(ran: bool, reasons: tuple[str, ...]) -> list[str]:
    if ran:
        return ["run once or twice, read-only and rolled back", *reasons]
    return [f"not run: {'; '.join(reasons)}"]


async def _advice(connection: Own, rung: Rung) -> tuple[str, ...]:
    """The index that it lacks, with its proof, or nothing."""
    import psycopg

    try:
        trials = await advised(connection, rung, (), await hypothetical(connection))
    except (Unavailable, psycopg.Error):
        return ()
    lines: list[str] = []
    for trial in trials:
        lines += [f"-- index on {trial.label}: {trial.proof}", *trial.commands()]
        lines += [f"-- undo: {trial.undo()}"]
    return tuple(lines)
