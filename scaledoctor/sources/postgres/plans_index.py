"""Trying an index before it is advised: with HypoPG where it is there, else by its cost."""

from collections.abc import Sequence
from dataclasses import replace

from scaledoctor.plans.candidates import Candidate, candidates
from scaledoctor.plans.judge import view_of
from scaledoctor.plans.relation import Relation
from scaledoctor.plans.tree import Plan, plan_of
from scaledoctor.plans.trial import Trial
from scaledoctor.sources.postgres.plans_ladder import Rung
from scaledoctor.sources.postgres.plans_own import Own
from scaledoctor.sources.postgres.plans_tables import of_plan, referring, relations
from scaledoctor.sql import identifier, mask

TRIED = 6
"""Candidates tried for one statement at most."""

SAVES = 0.5
"""Share of the cost that an index must save (dexter and pgReviewer: 50 % and 30 %)."""

NEARLY = 0.1
"""Share of the cost that one column less may save less."""

WORSE = 1.1
"""Times its cost that an index may make another statement."""

_RANDOM_PAGE = 4.0


async def hypothetical(own: Own) -> str:
    """The schema of HypoPG, empty when it is not there."""
    rows = await own.rows(
        "SELECT n.nspname::text AS name FROM pg_catalog.pg_extension e "
        "JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'hypopg'"
    )
    return rows[0]["name"] if rows else ""


async def advised(own: Own, rung: Rung, others: Sequence[Rung], hypopg: str) -> tuple[Trial, ...]:
    """The indexes that make a statement cost half or less and no other one more; mostly one."""
    known = await relations(own, of_plan(rung.plan))
    foreign = await referring(own, rung.plan)
    if foreign:
        children = await relations(own, [(s, n) for s, n, _ in foreign])
        found = [
            _foreign(children[s, n], columns) for s, n, columns in foreign if (s, n) in children
        ]
        return tuple(found)
    parents = {r.root for r in known.values() if r.root}
    roots = await relations(own, parents)
    tried = candidates(view_of(rung.plan), known)
    if rung.way != "literal":  # an expression with a value in it that the statement has not
        tried = tuple(c for c in tried if all(mask(key) == key for key in c.keys))
    whole = [c for c in tried if c.relation.root is None]
    trials = [
        _estimated(rung.plan, c, roots) for c in tried if c.relation.root in roots or not hypopg
    ]
    if hypopg:
        trials += [await _tested(own, rung, c, hypopg) for c in whole[:TRIED]]
    best = _best([t for t in trials if t is not None])
    if best is None or (hypopg and best.tested and await _harms(own, best, others, hypopg)):
        return ()
    return (best,)


def _best(trials: Sequence[Trial]) -> Trial | None:
    """The cheapest; a narrower one that saves nearly as much wins over it."""
    good = [t for t in trials if t.after <= (1 - SAVES) * t.before]
    if not good:
        return None
    least = min(t.after for t in good)
    near = [t for t in good if t.after <= max(1.5 * least, least + NEARLY * t.before)]
    return min(near, key=lambda t: (len(t.keys), t.after))


def _trial(candidate: Candidate, before: float, after: float, *, tested: bool) -> Trial:
    relation = candidate.relation
    return Trial(
        schema=relation.schema,
        table=relation.name,
        keys=candidate.keys,
        columns=candidate.columns,
        where=candidate.where,
        before=before,
        after=after,
        tested=tested,
        pages=relation.pages,
        rows=candidate.rows,
        writes=relation.writes,
        reads=candidate.scan,
        using=candidate.using,
        replaces="" if candidate.where else relation.extends(candidate.columns),
        size=_size(relation, candidate.columns, candidate.where),
    )


def _size(relation: Relation, columns: Sequence[str], where: str) -> float:
    """Bytes of an index: 16 for each row beside its columns, pages nine tenths full (manual)."""
    width = sum(c.width for name in columns if (c := relation.columns.get(name)))
    share = 0.1 if where else 1.0
    return share * max(relation.rows, 0.0) * (16 + width) / 0.9


def _cost(plan: Plan) -> float:
    return plan.root.number("Total Cost")


async def _tested(own: Own, rung: Rung, candidate: Candidate, hypopg: str) -> Trial | None:
    """Make it hypothetically, plan again, and see whether the planner takes it."""
    import psycopg

    options = "VERBOSE, GENERIC_PLAN" if rung.way == "generic" else "VERBOSE"
    schema = identifier(hypopg)
    try:
        await own.rows(f"SELECT {schema}.hypopg_reset()")
        sql = f"CREATE INDEX ON {candidate.definition()}"
        await own.rows(f"SELECT indexname FROM {schema}.hypopg_create_index(%(sql)s)", {"sql": sql})
        plan = plan_of(await own.explain(rung.statement, options))
        await own.rows(f"SELECT {schema}.hypopg_reset()")
    except psycopg.Error:
        return None
    used = any(node.index.startswith("<") for node in plan.nodes)
    return _trial(candidate, _cost(rung.plan), _cost(plan), tested=True) if used else None


async def _harms(own: Own, trial: Trial, others: Sequence[Rung], hypopg: str) -> bool:
    """Whether another of the heaviest statements would cost more with it."""
    import psycopg

    schema = identifier(hypopg)
    table = f"{identifier(trial.schema)}.{identifier(trial.table)}"
    where = f" WHERE {trial.where}" if trial.where else ""
    sql = f"CREATE INDEX ON {table} ({', '.join(trial.keys)}){where}"
    reading = [o for o in others if (trial.schema, trial.table) in of_plan(o.plan)]
    try:
        await own.rows(f"SELECT {schema}.hypopg_create_index(%(sql)s)", {"sql": sql})
        for other in reading[:5]:
            if other.way != "generic":
                plan = plan_of(await own.explain(other.statement, "VERBOSE"))
                if _cost(plan) > WORSE * _cost(other.plan):
                    return True
        await own.rows(f"SELECT {schema}.hypopg_reset()")
    except psycopg.Error:
        return False
    return False


def _estimated(
    plan: Plan, candidate: Candidate, roots: dict[tuple[str, str], Relation]
) -> Trial | None:
    """The cost by hand: three pages down the tree and one page for each row found."""
    relation = candidate.relation
    node = next((n for n in plan.nodes if n.relation == relation.name), None)
    if node is None:
        return None
    rows = candidate.rows
    first = relation.selectivity(candidate.columns[0]) * max(relation.rows, 1.0)
    if len(candidate.columns) == 1 and not candidate.ordered and "(" not in candidate.keys[0]:
        rows = max(rows, min(first, relation.rows))
    pages = min(rows, relation.pages)
    after = _RANDOM_PAGE * (3 + pages) + 0.01 * rows
    before = _cost(plan) if candidate.ordered else node.number("Total Cost")
    trial = _trial(candidate, before, after, tested=False)
    if relation.root is None:
        return trial
    root = roots[relation.root]
    return replace(trial, schema=root.schema, table=root.name, partitioned=True, replaces="")


def _foreign(relation: Relation, columns: tuple[str, ...]) -> Trial:
    """An index for a foreign key: each deleted row reads the whole table without it."""
    after = _RANDOM_PAGE * 3
    return Trial(
        relation.schema, relation.name, tuple(map(identifier, columns)), columns, "",
        float(relation.pages), after, False, relation.pages, 0.0, relation.writes,
        "foreign key", "", referring=True, size=_size(relation, columns, ""),
    )  # fmt: skip
