"""Plans of the window's heaviest statements, with the indexes that were tried on them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from scaledoctor.plans.tree import masked, raw_of
from scaledoctor.plans.trial import Trial
from scaledoctor.sdk import Cadence, Unavailable, Window, fact, probe
from scaledoctor.sources.postgres.activity import Activity
from scaledoctor.sources.postgres.plans_index import advised, hypothetical
from scaledoctor.sources.postgres.plans_ladder import Rung, climb
from scaledoctor.sources.postgres.plans_own import Own, in_time, own
from scaledoctor.sources.postgres.plans_run import distress, place
from scaledoctor.sources.postgres.server import Server
from scaledoctor.sources.postgres.session import PostgresSession
from scaledoctor.sources.postgres.statements import Statement, Statements
from scaledoctor.sql import identifier

MOST = 5
"""Statements whose plan is asked for."""

SHARE = 0.05
"""Least share of all statements' time of one that is asked about."""

LONG = 1.0
"""Seconds that a statement has run without an end, from which it is asked about."""

CROWD = 3
"""Sessions that wait for locks from which nothing is asked; one or two are any busy moment."""

DENIED = "InsufficientPrivilege"
"""What is noted of a statement whose tables the role may not read."""

SECONDS = 2.0
"""For all plans and trials together."""


@fact
@dataclass(frozen=True, slots=True)
class StatementPlan:
    """One statement's plan as JSON without literals; empty when ``problem`` says why not.

    ``way`` is literal, filled (values out of the statistics) or generic; ``proved`` that the
    server gives it the statement's own identity; ``sensitive`` that other values get another plan.
    """

    query_id: str
    way: str
    proved: bool
    sensitive: bool
    plan: str
    trials: tuple[Trial, ...]
    problem: str = ""


@fact
@dataclass(frozen=True, slots=True)
class Plans:
    """The plans of the heaviest statements; ``hypopg`` whether an index could be tried."""

    plans: tuple[StatementPlan, ...]
    hypopg: bool

    def find(self, query_id: str) -> StatementPlan | None:
        """The plan of a statement, if there is one."""
        return next((p for p in self.plans if p.query_id == query_id and p.plan), None)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A statement whose plan is asked for."""

    query_id: str
    query: str


def endless(activity: Activity | None, known: Sequence[Wanted]) -> list[Wanted]:
    """Statements that have run for seconds and so were counted nowhere; from PostgreSQL 14 on."""
    seen = {w.query_id for w in known}
    found = {
        s.query_id: Wanted(s.query_id, s.query)
        for s in (activity.sessions if activity else ())
        if s.active and s.query_id and (s.query_age or 0.0) >= LONG
    }
    return [w for i, w in found.items() if i not in seen]


def heaviest(window: Window[Statements]) -> list[Wanted]:
    """The statements that took most time within the window, those with a text only."""
    before = {s.key: s.seconds for s in window.first.statements} if len(window) > 1 else {}
    grown: dict[str, float] = {}
    texts: dict[str, Statement] = {}
    for one in window.last.statements:
        spent = max(0.0, one.seconds - before.get(one.key, 0.0))
        grown[one.query_id] = grown.get(one.query_id, 0.0) + spent
        if one.query:
            texts.setdefault(one.query_id, one)
    total = sum(grown.values()) or 1.0
    ids = sorted(grown, key=lambda i: -grown[i])[:MOST]
    return [Wanted(i, texts[i].query) for i in ids if i in texts and grown[i] / total >= SHARE]


@probe(cost="up to 5 plans and their trials, none run, 2 s at most", cadence=Cadence.LAST)
async def plans(
    pg: PostgresSession,
    server: Server,
    statements: Window[Statements],
    activity: Activity | None,
) -> Plans:
    """Plan the heaviest statements on a connection of its own, and try the indexes they lack."""
    import psycopg
    from psycopg.conninfo import make_conninfo

    if pg.pooled:
        raise Unavailable("plans are not asked for through a pooler", "scan the server itself")
    counted = heaviest(statements)
    wanted = [*endless(activity, counted), *counted]
    wanted = [w for w in wanted if _readable(w.query)][:MOST]
    if not wanted:
        return Plans((), hypopg=False)
    try:
        async with own(make_conninfo("", **_way(pg)), SECONDS) as connection:
            connection.spent = pg.wire.spent  # what it costs the target is told as one
            found = await in_time(connection, _all(connection, wanted), SECONDS + 0.5)
    except psycopg.Error as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Unavailable(pg.redactor.text(line)) from None
    if found.plans and all(p.problem == DENIED for p in found.plans):
        raise Unavailable(
            f"role {server.role} may not read the tables of the heaviest statements, so that "
            "their plans cannot be asked for",
            f"GRANT pg_read_all_data TO {identifier(server.role)};"
            if server.major >= 14
            else f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {identifier(server.role)};",
        )
    return found


def _way(pg: PostgresSession) -> dict[str, str]:
    """How the scan's own connection was made, to the very host that it found."""
    info = pg.wire.connection.info
    given = {k: v for k, v in info.get_parameters().items() if k != "load_balance_hosts"}
    given |= {"host": info.host, "port": str(info.port)}
    if "hostaddr" in given:
        given["hostaddr"] = info.hostaddr
    return given | ({"password": info.password} if info.password else {})


def _readable(query: str) -> bool:
    """Whether a text is whole: neither cut off nor masked beyond the grammar."""
    return "?" not in query and len(query) < 4000 and "\ufffd" not in query


async def _all(own: Own, wanted: Sequence[Wanted]) -> Plans:
    worry = distress(await place(own), CROWD)
    if worry:
        raise Unavailable(f"no plan is asked for, because {worry}")
    hypopg = await hypothetical(own)
    rungs: dict[str, Rung] = {}
    found: list[StatementPlan] = []
    for one in wanted:
        got = await _climbed(own, one)
        if isinstance(got, Rung):
            rungs[one.query_id] = got
        else:
            found.append(StatementPlan(one.query_id, "", False, False, "", (), got))
    for query_id, rung in rungs.items():
        others = [r for i, r in rungs.items() if i != query_id]
        trials = await _tried(own, rung, others, hypopg)
        plan = json.dumps(raw_of(masked(rung.plan)))
        found.append(
            StatementPlan(query_id, rung.way, rung.proved, rung.sensitive, plan, trials)
        )  # fmt: skip
    return Plans(tuple(found), hypopg=bool(hypopg))


async def _climbed(own: Own, one: Wanted) -> Rung | str:
    import psycopg

    try:
        return await climb(own, one.query.rstrip("; \n"), one.query_id)
    except Unavailable as absent:
        return absent.reason
    except psycopg.Error as error:
        return type(error).__name__


async def _tried(own: Own, rung: Rung, others: Sequence[Rung], hypopg: str) -> tuple[Trial, ...]:
    import psycopg

    try:
        return await advised(own, rung, others, hypopg)
    except (Unavailable, psycopg.Error):
        return ()  # the plan alone is worth something
