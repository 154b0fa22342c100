"""What the checks on repeated statements share: their words and their fixes."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from scaledoctor.logs.nplusone.idioms import idioms
from scaledoctor.logs.nplusone.judging import Pattern
from scaledoctor.logs.nplusone.report import Repeated
from scaledoctor.sdk import Fix
from scaledoctor.sql import shorten
from scaledoctor.sql.look_ups import Relation

LOG_ALL = (
    "ALTER SYSTEM SET log_min_duration_statement = 0;",
    "SELECT pg_reload_conf();",
)
_MARKS = re.compile(r"\$\d+|\?\+?")

UNDO = "ALTER SYSTEM RESET log_min_duration_statement; SELECT pg_reload_conf();"


def exact(*, pooled: bool) -> Iterator[Fix]:
    """How the next run can tell each request from all others."""
    if pooled:
        yield Fix(
            "Let PgBouncer say which client each statement is from",
            ("[pgbouncer]", "application_name_add_host = 1", "; then on its console: RELOAD;"),
            language="ini",
            risk="PgBouncer sends one more SET, of 0.01 ms, when a server changes its client",
            verify="SELECT application_name FROM pg_stat_activity; shows the application - ip:port",
            undo="application_name_add_host = 0, and RELOAD;",
        )
    yield Fix(
        "Let the application say which request each statement is from (sqlcommenter)",
        (
            "# Django: pip install opentelemetry-instrumentation-django, and",
            "#   DjangoInstrumentor().instrument(is_sql_commentor_enabled=True)",
            "# SQLAlchemy: SQLAlchemyInstrumentor().instrument(enable_commenter=True)",
            "# Rails 7.1: config.active_record.query_log_tags_enabled = true",
            "# Prisma, Sequelize, Knex, Hibernate: https://google.github.io/sqlcommenter",
        ),
        language="text",
        risk="comments differ from request to request: they go behind the statement, where "
        "pg_stat_statements leaves them out",
        verify="the log's statements end with /*...traceparent='00-...'*/",
        undo="switch it off again",
    )


def fixes(one: Repeated) -> Iterator[Fix]:
    """How a repeated statement is asked once."""
    verify = f"scaledoctor scan with the new log: no longer {one.p95} times per request"
    undo = "take the change back"
    if one.pattern in (Pattern.WRITES, Pattern.TRANSACTIONS):
        yield _writes(one, verify)
        return
    if one.constant:
        yield _cached(one, verify, undo)
        return
    lines = idioms(one.relation, one.parent_table, one.table, one.column, one.child)
    if lines:
        yield Fix(
            f"Load {one.table or 'the rows'} together with {one.parent_table or 'the list'}",
            lines,
            language="text",
            risk="names of models are guessed from tables; a join repeats the list's row for each "
            "row that belongs to it",
            verify=verify,
            undo=undo,
        )
    if one.batched:
        yield Fix(
            f"Or ask for all of them at once: an array of {one.column} in one statement",
            (one.batched + ";",),
            risk="arrays of more than some thousand values are better joined: unnest($1)",
            verify=verify,
            undo=undo,
        )
    if not lines and not one.batched:
        yield Fix(
            "Ask for all rows of the list at once",
            (f"-- once, with a JOIN or = ANY($1), instead of: {shorten(one.child, 200)}",),
            risk="a larger answer at once",
            verify=verify,
            undo=undo,
        )


def _cached(one: Repeated, verify: str, undo: str) -> Fix:
    return Fix(
        f"Ask {one.table or 'it'} once per request, or keep the answer for a while",
        ("# Python: functools.cache on the function, or Django's cache.get_or_set",
         "# Rails: Rails.cache.fetch; JVM: Caffeine; Node: a Map per request"),
        language="text",
        risk="the answer is as old as the cache lets it be",
        verify=verify,
        undo=undo,
    )  # fmt: skip


def _writes(one: Repeated, verify: str) -> Fix:
    loop = one.pattern is Pattern.TRANSACTIONS
    return Fix(
        "One transaction for all rows" if loop else "Write many rows with one statement",
        (
            "# Django: bulk_create(rows), bulk_update(rows, fields); SQLAlchemy: "
            "session.execute(insert(Model), rows)",
            "# Peewee: Model.insert_many(rows); ActiveRecord: Model.insert_all(rows)",
            "# Prisma: createMany; Hibernate: hibernate.jdbc.batch_size = 50; psycopg: copy()",
        ),
        language="text",
        risk="one row that fails takes all others of its statement with it",
        verify=verify,
        undo="write them one by one again",
    )


WORDS = {
    Relation.COUNT: "counts",
    Relation.BELONGS_TO: "looks up",
    Relation.HAS_MANY: "lists",
    Relation.UNKNOWN: "asks",
}


def subject(one: Repeated) -> str:
    """What is repeated, and where: stable from run to run."""
    what = shorten(one.child, 140)
    above = f" for each row of {one.parent_table}" if one.parent_table else ""
    return f"{what}{above}" + (f" in {one.route}" if one.route else "")


def same(query: str, template: str) -> bool:
    """Whether a session's statement is that of a template, however its values are marked."""
    return _bare(query) == _bare(template)


def _bare(sql: str) -> str:
    return "".join(_MARKS.sub("?", sql).split()).lower()


def merged(found: Sequence[Repeated]) -> list[Repeated]:
    """One for each subject: lists that differ in their condition alone are the same table's."""
    by_subject: dict[str, Repeated] = {}
    for one in found:
        name = subject(one)
        first = by_subject.get(name)
        by_subject[name] = one if first is None else _both(first, one)
    return list(by_subject.values())


def _both(first: Repeated, second: Repeated) -> Repeated:
    return replace(
        first,
        requests=first.requests + second.requests,
        calls=first.calls + second.calls,
        p95=max(first.p95, second.p95),
        most=max(first.most, second.most),
        seconds=first.seconds + second.seconds,
        waited=first.waited + second.waited,
        saved=first.saved + second.saved,
    )


def summary(one: Repeated, share_calls: float, share_time: float | None) -> str:
    """One sentence with the numbers."""
    who = one.route or "A request"
    often = f"{one.median} times" + (f" (p95 {one.p95})" if one.p95 > one.median else "")
    cost = f"{share_calls:.0%} of all statements"
    if share_time is not None:
        cost += f", {share_time:.0%} of the database's time"
    match one.pattern:
        case Pattern.WRITES:
            return f"{who} writes row by row, {often}: {shorten(one.child, 70)} ({cost})"
        case Pattern.TRANSACTIONS:
            return f"{who} commits {often}, once per row: {shorten(one.child, 70)} ({cost})"
        case Pattern.DUPLICATE:
            return f"{who} asks the same thing {often}: {shorten(one.child, 70)} ({cost})"
    table = f"{one.table}.{one.column}" if one.table else shorten(one.child, 60)
    if one.constant:
        return f"{who} asks {table} {often} with the same value: {cost}"
    rows = f", once for each row of {one.parent_table}" if one.parent_table else " in a loop"
    return f"{who} {WORDS[one.relation]} {table} {often}{rows}: {cost}"
