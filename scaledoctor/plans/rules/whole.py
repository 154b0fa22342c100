"""What costs time beside the nodes: planning, JIT, triggers, workers, partitions, settings."""

from collections.abc import Iterator, Mapping

from scaledoctor.plans.problem import Problem, View, count
from scaledoctor.plans.tree import Node


def planning(view: View) -> Iterator[Problem]:
    """Planning takes longer than running."""
    spent, ran = view.plan.number("Planning Time"), view.plan.execution
    if view.plan.analysed and spent >= 10 and spent >= 0.5 * (spent + ran):
        yield Problem(
            "planning-time", view.plan.root,
            f"planning takes {spent:.0f} ms, running it {ran:.0f} ms",
            "a prepared statement; fewer partitions or joins to choose among",
            spent / (spent + ran), 1.2,
        )  # fmt: skip


def jit(view: View) -> Iterator[Problem]:
    """Compiling takes a good part of the time."""
    timing = [part.details.get("Timing") for part in view.plan.parts("JIT")]
    spent = sum(Node("", t).number("Total") for t in timing if isinstance(t, Mapping))
    ran = view.plan.execution
    if spent >= 20 and ran and spent >= 0.25 * ran:
        yield Problem(
            "jit-overhead", view.plan.root,
            f"JIT compilation takes {spent:.0f} of {ran:.0f} ms",
            "SET jit = off for this role, or jit_above_cost higher", min(1.0, spent / ran), 1.2,
        )  # fmt: skip


def triggers(view: View) -> Iterator[Problem]:
    """A trigger takes the time; a foreign key without an index scans its table for each row."""
    for trigger in view.plan.parts("Triggers"):
        spent, calls = trigger.number("Time"), max(trigger.number("Calls"), 1.0)
        share = spent / view.plan.execution if view.plan.execution else 0.0
        if share < 0.1:
            continue
        constraint = trigger.text("Constraint Name")
        if constraint and spent / calls >= 1.0:
            yield _foreign_key(view, trigger, spent / calls, share)
        else:
            name = trigger.text("Trigger Name") or constraint
            yield Problem(
                "trigger-time", view.plan.root,
                f"trigger {name} takes {min(share, 1):.0%} of the time in {count(calls)} calls",
                "look at the statements within the trigger", min(share, 1.0),
            )  # fmt: skip


def _foreign_key(view: View, trigger: Node, each: float, share: float) -> Problem:
    name = trigger.text("Constraint Name")
    return Problem(
        "fk-trigger-unindexed", view.plan.root,
        f"foreign key {name} takes {each:.1f} ms for each row changed: "
        "the table that refers to it has no index on its column",
        f"an index on the columns of foreign key {name}", min(share, 1.0), 1.2,
    )  # fmt: skip


def workers(view: View) -> Iterator[Problem]:
    """Fewer processes helped than the plan was made for."""
    for node in view.plan.nodes:
        planned, launched = node.number("Workers Planned"), node.number("Workers Launched", -1)
        if 0 <= launched < planned and node.executed:
            yield Problem(
                "workers-not-launched", node,
                f"{launched:.0f} of {planned:.0f} parallel workers were there",
                "max_parallel_workers and max_worker_processes higher, or fewer parallel "
                "statements at a time",
                view.measure.below(node) * (1 - launched / planned), 0.5,
            )  # fmt: skip


def partitions(view: View) -> Iterator[Problem]:
    """All partitions are searched and nearly all of them have nothing."""
    for node in view.plan.nodes:
        run = [c for c in node.children if c.executed]
        if node.kind not in ("Append", "Merge Append") or len(run) < 10 or not view.plan.analysed:
            continue
        empty = [c for c in run if c.actual == 0]
        if len(empty) >= 0.9 * len(run) and not node.number("Subplans Removed"):
            yield Problem(
                "no-partition-pruning", node,
                f"{len(run)} partitions are searched and {len(empty)} of them have no row",
                "the partition key in the WHERE clause, compared with a value of its own type",
                view.measure.below(node) * len(empty) / len(run), 1.2,
            )  # fmt: skip


def serialization(view: View) -> Iterator[Problem]:
    """Turning the result into text takes the time."""
    spent = sum(part.number("Time") for part in view.plan.parts("Serialization"))
    if view.plan.execution and spent >= 0.2 * view.plan.execution:
        yield Problem(
            "serialization-time", view.plan.root, f"{spent:.0f} ms go to writing out the result",
            "select fewer and narrower columns", min(1.0, spent / view.plan.execution),
        )  # fmt: skip


def settings(view: View) -> Iterator[Problem]:
    """The plan was made under settings that forbid another one."""
    given = [item for part in view.plan.parts("Settings") for item in part.details.items()]
    forced = [f"{k} = {v}" for k, v in given if k.startswith("enable_") and v == "off"]
    if forced:
        yield Problem(
            "settings-forced", view.plan.root, f"planned under {', '.join(forced)}",
            "look at the plan without it: it is not what others get", 0.5, 0.3,
        )  # fmt: skip


RULES = (planning, jit, triggers, workers, partitions, serialization, settings)
