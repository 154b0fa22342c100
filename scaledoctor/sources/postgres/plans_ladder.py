"""Getting a statement's plan without running it: values proved by its identity, or none."""

from dataclasses import dataclass

from scaledoctor.errors import Unavailable
from scaledoctor.plans.tree import Plan, plan_of
from scaledoctor.sources.postgres.plans_fill import Filled, filled
from scaledoctor.sources.postgres.plans_own import Own
from scaledoctor.sources.postgres.plans_proof import planning_refusals
from scaledoctor.sql.safety import inspect

GENERIC_PLAN = 160000
"""From here on EXPLAIN takes placeholders as they are (manual, EXPLAIN)."""

SENSITIVE = 10.0
"""Times that the costs for common and for rare values differ when the plan hangs on the values."""


@dataclass(frozen=True, slots=True)
class Rung:
    """A plan and how it was got: ``way`` is literal, filled or generic.

    ``proved`` means that the server gives it the identity under which the statement was counted.
    ``statement`` has values in it and is never stored; ``sensitive`` that others get another plan.
    """

    plan: Plan
    way: str
    statement: str
    proved: bool = False
    sensitive: bool = False


async def climb(own: Own, statement: str, query_id: str = "") -> Rung:
    """The best plan that can be had of one statement without running it.

    Raises:
        Unavailable: it has no plan, or not even planning it is safe.
        psycopg.Error: the server's own words.
    """
    parts = inspect(statement)
    if not parts.planned:
        raise Unavailable(parts.reasons[0] if parts.reasons else "it has no plan")
    reasons = await planning_refusals(own, parts)
    if reasons:
        raise Unavailable(reasons[0])
    if not parts.parameters:
        plan = await _explained(own, statement)
        return Rung(plan, "literal", statement, not query_id or plan.query_id == query_id)
    candidates = await filled(own, statement)
    rungs = [r for f in candidates if (r := await _filled(own, f, query_id))]
    proved = [r for r in rungs if r.proved]
    if not proved:
        generic = await _generic(own, statement, max(parts.parameters), query_id)
        if not rungs or generic is None or not generic.proved:
            return _chosen(rungs, generic)
        # The application sends parameters: its text is proved, and values make its custom plan.
        proved = [Rung(r.plan, r.way, r.statement, True) for r in rungs]
    return _chosen(proved, None)


def _chosen(rungs: list[Rung], generic: Rung | None) -> Rung:
    """The costlier of two bindings: it is the slow one that is looked for."""
    if not rungs:
        if generic is None:
            raise Unavailable("the server cannot plan it without its values")
        return generic
    costs = [r.plan.root.number("Total Cost") for r in rungs]
    most = rungs[costs.index(max(costs))]
    shapes = {tuple((n.kind, n.index) for n in r.plan.nodes) for r in rungs}
    sensitive = len(shapes) > 1 and max(costs) > SENSITIVE * max(min(costs), 1.0)
    return Rung(most.plan, most.way, most.statement, most.proved, sensitive)


async def _filled(own: Own, candidate: Filled, query_id: str) -> Rung | None:
    import psycopg

    try:
        plan = await _explained(own, candidate.statement)
    except psycopg.errors.InsufficientPrivilege:
        raise  # no other value will be allowed to see it
    except (psycopg.DataError, psycopg.ProgrammingError):
        return None
    return Rung(plan, "filled", candidate.statement, bool(query_id) and plan.query_id == query_id)


async def _explained(own: Own, statement: str) -> Plan:
    return plan_of(await own.explain(statement, "VERBOSE, SETTINGS"))


async def _generic(own: Own, statement: str, most: int, query_id: str) -> Rung | None:
    """The plan for unknown values; None where the server cannot tell their types."""
    import psycopg

    try:
        if own.version >= GENERIC_PLAN:
            raw = await own.explain(statement, "VERBOSE, SETTINGS, GENERIC_PLAN")
        else:
            raw = await _prepared(own, statement, most)
    except psycopg.errors.InsufficientPrivilege:
        raise
    except (psycopg.DataError, psycopg.ProgrammingError):
        return None
    plan = plan_of(raw)
    return Rung(plan, "generic", statement, bool(query_id) and plan.query_id == query_id)


async def _prepared(own: Own, statement: str, most: int) -> dict[str, object]:
    nothing = ", ".join(["NULL"] * most)
    query = f"EXPLAIN (VERBOSE, SETTINGS, FORMAT JSON) EXECUTE scaledoctor_plan({nothing})"
    try:
        async with own.guarded(1000):
            await own.connection.execute(b"SET LOCAL plan_cache_mode = force_generic_plan")
            await own.connection.execute(f"PREPARE scaledoctor_plan AS {statement}".encode())
            cursor = await own.connection.execute(query.encode())
            (row,) = await cursor.fetchall()
    finally:
        if not own.connection.closed:
            await own.connection.execute(b"DEALLOCATE ALL")
    (plan,) = row.values()
    found: dict[str, object] = plan[0]
    return found
