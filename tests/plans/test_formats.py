"""One plan in every format and frame; what is no plan gives one line."""

import json

import psycopg
import pytest

from scaledoctor.demo.servers import PostgresServer
from scaledoctor.errors import ScaledoctorError
from scaledoctor.plans.read import read_plan
from scaledoctor.plans.times import measure
from scaledoctor.plans.tree import Plan, masked, plan_of, raw_of

TEXT = """\
Limit  (cost=0.42..1.01 rows=10 width=4) (actual time=0.010..20.000 rows=10 loops=1)
  ->  Index Scan Backward using "Mixed Case" on public.orders o  (cost=0.42..9.01 rows=10 \
width=4) (actual time=0.010..19.000 rows=10 loops=1)
        Index Cond: (id > $0)
        Filter: ((status = 'x'::text) AND (alternatives: SubPlan 2 or hashed SubPlan 3))
        Rows Removed by Filter: 7
        Buffers: shared hit=12 read=3, temp read=4 written=5
        I/O Timings: read=1.500
        SubPlan 2
          ->  Seq Scan on public.a  (cost=0.00..1.01 rows=1 width=0) (never executed)
        SubPlan 3
          ->  Seq Scan on public.a a_1  (cost=0.00..1.01 rows=1 width=4) \
(actual time=0.001..0.002 rows=2 loops=1)
  InitPlan 1 (returns $0)
    ->  Aggregate  (cost=1.00..1.01 rows=1 width=4) (actual time=0.500..0.500 rows=1 loops=1)
Planning Time: 0.100 ms
Trigger for constraint child_fk on parent: time=3.500 calls=2
Execution Time: 21.000 ms
"""


def told(plan: Plan) -> list[tuple[str, str, str]]:
    """Each node: kind, place, relationship."""
    return [(n.kind, n.relation or n.index, n.role) for n in plan.nodes]


WANTED = [
    ("Limit", "", ""),
    ("Index Scan", "orders", "Outer"),
    ("Seq Scan", "a", "SubPlan"),
    ("Seq Scan", "a", "SubPlan"),
    ("Aggregate", "", "InitPlan"),
]


def test_text_with_subplans_triggers_and_buffers() -> None:
    """Labels stand below their owner's name, also when the owner has children."""
    plan = read_plan(TEXT)
    assert told(plan) == WANTED
    scan = plan.nodes[1]
    assert (scan.index, scan.blocks, scan.removed) == ("Mixed Case", 15.0, 7.0)
    assert scan.number("Shared I/O Read Time") == 1.5
    assert [n.executed for n in plan.nodes] == [True, True, False, True, True]
    assert plan.details["Triggers"][0]["Constraint Name"] == "child_fk"
    assert plan.execution == 21.0
    # The InitPlan's half millisecond is taken once, from the scan that asks for $0.
    assert measure(plan).shares[scan].own == pytest.approx(19.0 - 0.002 - 0.5)


def test_no_detail_keeps_a_literal() -> None:
    """Not a filter, not a run condition, not what a foreign server is asked."""
    raw = {
        "Node Type": "Foreign Scan", "Relation Name": "t", "Plan Rows": "4242", "Width": 7,
        "Remote SQL": "SELECT a FROM t WHERE a = 'secret'", "Run Condition": "(n <= 77001)",
        "Sort Key": ["(a + 77001)", "b"], "Anything New": "x > 'secret'",
        "Filter": "((a)::numeric(10,2) > 77001.5)",
    }  # fmt: skip
    node = masked(plan_of({"Plan": raw, "Query Text": "SELECT 'secret'"}))
    words = str(raw_of(node))
    assert "secret" not in words
    assert "77001" not in words
    assert (node.root.rows, node.root.relation) == (4242.0, "t")
    assert node.root.text("Filter") == "((a)::numeric(10,2) > '?')"


def psql(text: str) -> str:
    """As psql shows it."""
    lines = [f" {line}" for line in text.splitlines()]
    return "\n".join(["   QUERY PLAN", "-----------", *lines, f"({len(lines)} lignes)", ""])


def logged(text: str) -> str:
    """As auto_explain writes it, the next entry behind it."""
    head = "2026-11-25 10:00:00 UTC [7] LOG:  duration: 21.0 ms  plan:\n\tQuery Text: SELECT 1\n"
    body = "".join(f"\t{line}\n" for line in text.splitlines())
    return f"{head}{body}2026-11-25 10:00:01 UTC [8] LOG:  checkpoint starting: time\n"


def wrapped(text: str) -> str:
    """As a terminal of 72 columns cuts it."""
    return "\n".join(
        line[i : i + 72] for line in text.splitlines() for i in range(0, len(line), 72)
    )


FRAMES = {
    "psql": psql,
    "auto_explain": logged,
    "quoted": lambda t: "\n".join(f'"{line}"' for line in t.replace('"', '""').splitlines()),
    "single quotes": lambda t: "\n".join(f"'{line}'" for line in t.splitlines()),
    "a border": lambda t: "\n".join(f"| {line} |" for line in t.splitlines()),
    "carriage returns": lambda t: t.replace("\n", "\r\n"),
    "a mark": lambda t: "\ufeff" + t,
    "words before": lambda t: f"Hi all,\nthis is slow:\n\n{t}",
    "wrapped": wrapped,
}


@pytest.mark.parametrize("frame", FRAMES)
def test_frames_are_taken_off(frame: str) -> None:
    """The same tree, whatever stands around it."""
    plan = read_plan(FRAMES[frame](TEXT))
    assert told(plan) == WANTED
    assert plan.nodes[0].actual == 10


@pytest.mark.parametrize(
    "text",
    [
        "", "SELECT 1", "{", "[]", '{"Plan": 3}', '{"Plan": {}}', '[{"Plan": {"Node Type": "Limit"',
        "<explain><Query><Plan>", "<!DOCTYPE x><explain></explain>", "- Plan:", "\0\0",
        "- Plan:\n  -",
        '{"Plan": ' * 3000, "<explain>" * 3000,
    ],
)  # fmt: skip
def test_what_is_no_plan_gives_one_line(text: str) -> None:
    """What, where, what to do."""
    with pytest.raises(ScaledoctorError, match=r"^here: no plan that can be read[^\n]*$"):
        read_plan(text, "here")


QUERY = """
WITH c AS MATERIALIZED (SELECT oid, relname FROM pg_class)
SELECT relname, (SELECT count(*) FROM pg_attribute WHERE attrelid = c.oid) FROM c
WHERE oid > (SELECT min(oid) FROM pg_type) AND relname LIKE 'pg!_%' ESCAPE '!' ORDER BY 1 LIMIT 5
"""


@pytest.mark.live
@pytest.mark.parametrize("options", ["VERBOSE", "ANALYZE, BUFFERS", "ANALYZE, TIMING OFF"])
def test_four_formats_of_a_server_are_one_tree(
    postgres_server: PostgresServer, options: str
) -> None:
    """TEXT, JSON, XML and YAML of the same statement."""
    plans = []
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        for form in ("JSON", "TEXT", "XML", "YAML"):
            query = f"EXPLAIN ({options}, FORMAT {form}) {QUERY}"
            rows = connection.execute(query.encode()).fetchall()
            whole = rows[0][0] if form != "TEXT" else "\n".join(line for (line,) in rows)
            text = whole if isinstance(whole, str) else json.dumps(whole)
            plans.append(read_plan(text, form))
    first, *others = plans
    keys = ("Plan Rows", "Actual Loops", "Total Cost", "Subplan Name", "Filter", "Sort Method")
    for other in others:
        assert told(other) == told(first)
        for key in keys:
            ours = [n.text(key) for n in other.nodes if n.text(key) and key[-1] not in "st"]
            assert ours == [n.text(key) for n in first.nodes if n.text(key) and key[-1] not in "st"]
        assert [n.rows for n in other.nodes] == [n.rows for n in first.nodes]
        assert [n.actual for n in other.nodes] == [n.actual for n in first.nodes]
