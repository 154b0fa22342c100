"""What a statement lacks, by its plan: an index that was tried, another type, or nothing."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from scaledoctor.plans.hint import Hint, hint
from scaledoctor.plans.judge import view_of
from scaledoctor.plans.tree import plan_of
from scaledoctor.plans.trial import Trial
from scaledoctor.sdk import Evidence, Fix
from scaledoctor.sources.postgres import Plans, StatementPlan, Tables
from scaledoctor.sql import identifier
from scaledoctor_checks.postgres._heavy import Candidate, Heavy, candidate

_AGAIN = "scaledoctor scan again: the statement's blocks per call fall"

_WAYS = {
    "literal": "as it is written",
    "filled": "with values out of the statistics",
    "generic": "for unknown values",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """One statement's way out: an index by its plan or by its text, a hint, or none of them."""

    index: Trial | Candidate | None = None
    hint: Hint | None = None
    plan: StatementPlan | None = None

    @property
    def pages(self) -> int:
        """Pages of the table that lacks an index."""
        if isinstance(self.index, Trial):
            return self.index.pages
        return self.index.table.pages if self.index else 0

    @property
    def subject(self) -> str:
        """The table with its columns; empty when nothing is known."""
        if self.hint:
            return f"{self.hint.table}({self.hint.column})"
        return _label(self.index).replace(" (", "(", 1) if self.index else ""

    @property
    def sure(self) -> bool:
        """Whether the planner itself said that the index helps, or none is spoken of."""
        return self.index is None or (isinstance(self.index, Trial) and self.index.tested)

    @property
    def why(self) -> str:
        """Why the statement is slow; empty when that is not known."""
        if self.hint:
            return _hinted(self.hint)
        if isinstance(self.index, Trial):
            return _lacking(self.index)
        return f"no index on {_label(self.index)}" if self.index else ""

    @property
    def proof(self) -> str:
        """What the index saves, behind the sentence that names it."""
        if not isinstance(self.index, Trial) or self.index.referring:
            return ""
        return f"; with one, {self.index.proof}"

    def evidence(self) -> Iterator[Evidence]:
        """How the plan was got, and its costs."""
        if self.plan:
            yield Evidence("its plan", _way(self.plan), source="EXPLAIN, not run")
        if isinstance(self.index, Trial) and not self.index.referring:
            source = "HypoPG" if self.index.tested else "an estimate"
            yield Evidence("planner's cost now", self.index.before, source="EXPLAIN")
            yield Evidence("planner's cost with the index", self.index.after, source=source)

    def fix(self) -> Fix | None:
        """The index or the other type; None where the plan has to be looked at."""
        if isinstance(self.index, Trial):
            return _tried(self.index)
        if self.index is not None:
            return _guessed(self.index)
        return _hint_fix(self.hint) if self.hint else None


def advice(one: Heavy, plans: Plans | None, tables: Tables | None, pages: int) -> Advice:
    """What a statement lacks, by its plan; where there is no plan, by its text."""
    plan = plans.find(one.key) if plans else None
    if plan is None:
        return Advice(candidate(one.query, tables, pages))
    trial = next(iter(plan.trials), None)
    told = None if trial else hint(view_of(plan_of(json.loads(plan.plan))))
    return Advice(trial, told, plan)


def _way(plan: StatementPlan) -> str:
    proof = ", of the statement's own identity" if plan.proved else ""
    other = "; other values get another plan" if plan.sensitive else ""
    return _WAYS.get(plan.way, plan.way) + proof + other


def _label(index: Trial | Candidate) -> str:
    if isinstance(index, Trial):
        return index.label
    return f"{index.table.label} ({', '.join(index.columns)})"


def _lacking(trial: Trial) -> str:
    table, columns = f"{trial.schema}.{trial.table}", ", ".join(trial.columns)
    if trial.referring:
        return f"each row deleted searches {table} for rows that refer to it: no index on {columns}"
    if trial.using:
        return (
            f"index {trial.using} finds rows of {table} that a filter then throws away: "
            f"no index on {trial.label}"
        )
    return f"no index on {trial.label}"


def _tried(trial: Trial) -> Fix:
    return Fix(
        f"Index {trial.schema}.{trial.table} on {', '.join(trial.keys)}",
        trial.commands(),
        risk=trial.price,
        verify=_AGAIN,
        undo=trial.undo(),
    )


def _guessed(index: Candidate) -> Fix:
    table = f"{identifier(index.table.schema)}.{identifier(index.table.name)}"
    columns = ", ".join(map(identifier, index.columns))
    name = "_".join((index.table.name, *index.columns, "idx"))[:63]
    whole = f"{identifier(index.table.schema)}.{identifier(name)}"
    return Fix(
        f"Index {index.table.label} on {', '.join(index.columns)}",
        (f"CREATE INDEX CONCURRENTLY {identifier(name)} ON {table} ({columns});",),
        risk="reads the whole table once, does not block writes; each write then maintains "
        "one more index; waits for old transactions to end",
        verify=_AGAIN,
        undo=f"DROP INDEX CONCURRENTLY {whole};",
    )


def _hinted(found: Hint) -> str:
    if found.id == "implicit-cast":
        return (
            f"a parameter is {found.cast}, so that {found.table}.{found.column} is converted for "
            "every row and no index on it is used"
        )
    return f"a pattern without a fixed beginning is searched in {found.table}.{found.column}"


def _hint_fix(found: Hint) -> Fix:
    """A parameter of the column's own type, or a trigram index."""
    if found.id == "implicit-cast":
        return Fix(
            f"Send the parameter in the type of {found.column}",
            (f"... WHERE {found.column} = %s  -- bound in the column's type, not {found.cast}",),
            "text",
            risk="none in the database; the client binds another type",
            verify=_AGAIN,
            undo="bind the old type again",
        )
    schema, _, table = found.table.rpartition(".")
    name = f"{table}_{found.column}_trgm_idx"[:63]
    whole = f"{identifier(schema)}.{identifier(table)}"
    return Fix(
        f"A trigram index on {found.table}.{found.column}",
        (
            "CREATE EXTENSION IF NOT EXISTS pg_trgm;",
            f"CREATE INDEX CONCURRENTLY {identifier(name)} ON {whole} "
            f"USING gin ({identifier(found.column)} gin_trgm_ops);",
        ),
        risk="a GIN index is large and makes each write of the column dearer; patterns of fewer "
        "than three letters do not use it",
        verify=_AGAIN,
        undo=f"DROP INDEX CONCURRENTLY {identifier(schema)}.{identifier(name)};",
    )
