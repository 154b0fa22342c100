"""Running a statement for its plan: only behind all nine steps of the gate."""

from dataclasses import dataclass
from typing import Any

from scaledoctor.plans.tree import Plan, plan_of
from scaledoctor.sources.postgres.plans_own import RUN_MS, Own
from scaledoctor.sources.postgres.plans_proof import hidden, refusals
from scaledoctor.sql.safety import inspect

COST = 1_000_000.0
"""Planner's units above which a statement is not run by itself: some seconds on today's machines
(pgReviewer calls 100,000 critical)."""

TEMPORARY = 1 << 30
"""Bytes that its sorts and hashes may be estimated to hold."""

WAITING, CROWDED, ACTIVE = 1, 0.8, 50
"""Sessions that wait for locks, share of connections taken and active sessions from which the
server has other worries."""

PLACE = """
SELECT r.rolsuper AS super,
       ARRAY(SELECT g.rolname::text FROM pg_catalog.pg_roles g WHERE g.rolname IN (
         'pg_execute_server_program', 'pg_write_server_files', 'rds_superuser',
         'cloudsqlsuperuser', 'azure_pg_admin', 'pg_signal_backend')
         AND pg_catalog.pg_has_role(r.oid, g.oid, 'MEMBER')) AS groups,
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity a
        WHERE a.wait_event_type = 'Lock') AS waiting,
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity a
        WHERE a.state = 'active' AND a.pid <> pg_catalog.pg_backend_pid()) AS active,
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity a
        WHERE a.backend_type = 'client backend')::float8
       / pg_catalog.current_setting('max_connections')::int AS crowded
FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
"""


@dataclass(frozen=True, slots=True)
class Run:
    """A plan with what was measured, or None and why it was not run."""

    plan: Plan | None
    reasons: tuple[str, ...] = ()


def distress(row: dict[str, Any], waiting: int = WAITING) -> str:
    """Why a server is to be left alone; empty when it is well."""
    if row["waiting"] >= waiting:
        return f"{row['waiting']} sessions wait for locks"
    if row["crowded"] >= CROWDED:
        return f"{row['crowded']:.0%} of all connections are taken"
    if row["active"] >= ACTIVE:
        return f"{row['active']} sessions are active"
    return ""


async def place(own: Own) -> dict[str, Any]:
    """The role, and how the server is."""
    (row,) = await own.rows(PLACE)
    return row


async def analysed(own: Own, statement: str, plan: Plan, *, insisted: bool) -> Run:
    """Run a statement that is proved harmless, first without timing, then with it if it is short.

    ``insisted`` lifts the limits of role, cost and load, never the proof.
    """
    import psycopg

    parts = inspect(statement)
    reasons = list(await refusals(own, parts))
    if not reasons:
        reasons += await hidden(own, plan)
    if not insisted:
        reasons += _limits(await place(own), plan)
    if reasons:
        return Run(None, tuple(reasons))
    try:
        options = "ANALYZE, VERBOSE, BUFFERS, SETTINGS, TIMING"
        first = plan_of(await own.explain(statement, f"{options} OFF", milliseconds=RUN_MS))
        if first.execution * 4 > RUN_MS:
            return Run(first, ("it is too long to be run again with the time of each node",))
        timed = await own.explain(statement, f"{options} ON", milliseconds=RUN_MS)
        return Run(plan_of(timed))
    except psycopg.errors.QueryCanceled:
        return Run(None, (f"it did not end within {RUN_MS / 1000:.0f} s",))
    except psycopg.Error as error:
        return Run(None, (str(error).splitlines()[0],))


def _limits(row: dict[str, Any], plan: Plan) -> list[str]:
    found: list[str] = []
    if row["super"] or row["groups"]:
        role = "a superuser" if row["super"] else f"a member of {row['groups'][0]}"
        found.append(f"the role is {role}: use one that can only read, or --analyze always")
    cost = plan.root.number("Total Cost")
    if cost > COST:
        found.append(f"its cost is {cost:,.0f}, above {COST:,.0f}")
    held = sum(
        n.rows * n.number("Plan Width")
        for n in plan.nodes
        if n.kind in ("Sort", "Hash", "Materialize", "Aggregate")
    )
    if held > TEMPORARY:
        found.append(f"it may hold {held / (1 << 30):,.1f} GB in sorts and hashes")
    worry = distress(row)
    return [*found, *([f"the server is busy: {worry}"] if worry else [])]
