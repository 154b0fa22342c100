"""Plans of real servers: each has the problem of its name, its healthy twin has none."""

from functools import cache
from pathlib import Path

import pytest

from scaledoctor.plans.judge import judge
from scaledoctor.plans.read import read_plan
from scaledoctor.plans.times import measure
from scaledoctor.plans.tree import Node, Plan, masked, plan_of, raw_of

FOLDER = Path(__file__).parent / "captured"
FILES = sorted(FOLDER.rglob("*.json"))

files = pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}")


@cache
def plan(path: Path) -> Plan:
    """A captured plan."""
    return read_plan(path.read_text(encoding="utf-8"), path.name)


def shape(node: Node) -> list[object]:
    """What must not depend on the format: kinds, places, estimates, rows and loops."""
    return [
        (n.kind, n.strategy, n.relation, n.index, n.role, n.rows, n.actual, n.loops)
        for n in node.walk()
    ]  # fmt: skip


def test_there_are_plans_of_both_versions() -> None:
    """At least 60, of 15 and 18."""
    assert len(FILES) >= 60
    assert {path.parent.name for path in FILES} == {"15", "18"}


@files
@pytest.mark.parametrize("suffix", ["json", "txt"])
def test_the_problem_is_named_first_and_its_twin_is_healthy(path: Path, suffix: str) -> None:
    """The file's name is the label."""
    problem, label, _ = path.name[3:].split(".")
    found = [p.id for p in judge(plan(path.with_suffix(f".{suffix}")))]
    assert found[:1] == ([problem] if label == "bad" else [])
    assert len(found) <= 3


@files
def test_text_and_json_give_the_same_tree(path: Path) -> None:
    """Two runs of one statement: the same nodes with the same rows."""
    text, document = plan(path.with_suffix(".txt")), plan(path)
    if "workers" in path.name or "Gather" in str(shape(document.root)):
        return  # who gets which row is chance
    assert shape(text.root) == shape(document.root)


@files
@pytest.mark.parametrize("suffix", ["json", "txt"])
def test_own_times_sum_to_the_root(path: Path, suffix: str) -> None:
    """Within 1 % and the rounding of times per loop."""
    found = plan(path.with_suffix(f".{suffix}"))
    times = measure(found)
    total = sum(share.own for share in times.shares.values())
    root = times.shares[found.root].total
    error = sum(share.error for share in times.shares.values())
    assert total == pytest.approx(root, rel=0.01, abs=error + 0.01)


@files
def test_masked_it_is_the_same_plan_without_a_literal(path: Path) -> None:
    """And can be judged again."""
    found = masked(plan(path))
    assert shape(plan_of(raw_of(found)).root) == shape(plan(path).root)
    assert [p.id for p in judge(found)] == [p.id for p in judge(plan(path))]
    conditions = [n.text("Filter") + n.text("Index Cond") for n in found.nodes]
    assert not any(secret in c for c in conditions for secret in ("failed", "777", "4242"))
