"""Collection over a real event loop with a third party's source; examination of what it gave."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scaledoctor import collect as collecting
from scaledoctor.collect import collect
from scaledoctor.examine import examine
from scaledoctor.redact import Redactor
from scaledoctor.registry import Registry, load
from scaledoctor.snapshot import Record, dumps, loads
from scaledoctor.targets import Target
from tests.engine.plugin import SOURCE, install


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """Only the third party's plug-ins, with short deadlines."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(collecting, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(collecting, "SAMPLE_SECONDS", 0.05)
    install(tmp_path, "tankplug", SOURCE)
    yield load(groups=("scaledoctor.tests",))
    del sys.modules["tankplug"]


def tank(dsn: str) -> Target:
    return Target("tank", f"tank:{dsn}", f"at {dsn}", dsn)


def visit(registry: Registry, *dsns: str, window: float = 0.2) -> tuple[Record, ...]:
    return collect([tank(d) for d in dsns], registry, Redactor(), window).records


def test_a_window_holds_all_samples_in_time_order(registry: Registry) -> None:
    """Sampled facts are taken again and again, facts of the start once."""
    (record,) = visit(registry, "a")
    times = [at for at, _ in record.samples["Level"]]
    assert len(times) >= 4
    assert times == sorted(times)
    assert [fact.litres for _, fact in record.samples["Level"]] == list(range(1, len(times) + 1))
    assert len(record.samples["Label"]) == 1


SLOW = """
from dataclasses import dataclass

from scaledoctor.sdk import Cadence, Step, Use, fact, probe, resource
from tankplug import Tank


@fact
@dataclass(frozen=True, slots=True)
class Tide:
    metres: int


@probe(cost="nothing", cadence=Cadence.SAMPLED, every=0.1)
async def tide(tank: Tank) -> Tide:
    return Tide(1)


@resource("tank.tide", step=Step.SCALE_OUT)
def use(tide: Tide, /) -> Use | None:
    \"\"\"How high it is.\"\"\"
"""


def test_what_changes_slowly_is_sampled_as_slowly(registry: Registry, tmp_path: Path) -> None:
    """Every second tick here, the first one included."""
    install(tmp_path, "slowplug", SLOW)
    (record,) = visit(load(groups=("scaledoctor.tests",)), "a")
    ticks, slow = len(record.samples["Level"]), len(record.samples["Tide"])
    assert slow == (ticks + 1) // 2


def test_a_window_of_zero_takes_one_reading(registry: Registry) -> None:
    """One shot: one sample of everything, and no rates."""
    (record,) = visit(registry, "a", window=0)
    assert len(record.samples["Level"]) == 1


def test_only_facts_that_somebody_needs_are_read(registry: Registry) -> None:
    """The probe that nobody asks for would fail the test."""
    (record,) = visit(registry, "a")
    assert "Unwanted" not in record.samples
    assert record.failures == ()


def test_targets_are_visited_at_once_and_do_not_disturb_each_other(registry: Registry) -> None:
    """One answers, one refuses, one hangs, one source crashes: each has its own record."""
    good, refused, hung, crashed = visit(registry, "a", "refuse", "hang", "crash")
    assert good.reach.ok
    assert (refused.reach.category, refused.reach.code) == ("refused", "E1")
    assert refused.reach.enable == "fill it"
    assert hung.reach.category == "timeout"
    assert not crashed.reach.ok
    assert [f.error for f in crashed.failures] == ["RuntimeError: a defect in the source"]


def test_secrets_are_masked_before_they_are_stored(registry: Registry) -> None:
    """Neither a fact nor a refusal keeps a password, and the masks are counted."""
    snapshot = collect([tank("a"), tank("refuse")], registry, Redactor(), 0.0)
    text = dumps(snapshot).decode()
    assert "abc123" not in text
    assert "hunter2" not in text
    assert snapshot.redactions == {"password": 2}


def test_a_snapshot_comes_back_exactly(registry: Registry) -> None:
    """To JSON and back: equal facts of the same classes, equal times."""
    snapshot = collect([tank("a"), tank("refuse")], registry, Redactor(), 0.1)
    again = loads(dumps(snapshot), registry.facts)
    assert again == snapshot
    assert type(again.records[0].samples["Level"][0][1]) is registry.facts["Level"]


def test_a_probe_that_breaks_in_the_middle_loses_nothing(registry: Registry) -> None:
    """What was read stays, the failure is kept, and it is not tried again for ever."""
    (record,) = visit(registry, "leaky", window=0.5)
    assert [fact.litres for _, fact in record.samples["Level"]] == [1, 2, 3]
    assert 1 <= len(record.failures) <= collecting.GIVE_UP
    assert record.failures[0].error == "ValueError: float jammed"
    assert "float jammed" in record.failures[0].traceback


def test_checks_run_once_per_target_and_survive_each_other(registry: Registry) -> None:
    """Found, skipped with reason and remedy, crashed with traceback, and one for all targets."""
    snapshot = collect([tank("a"), tank("b"), tank("refuse")], registry, Redactor(), 0.1)
    result = examine(snapshot, registry)
    found = {(f.check, f.target) for f in result.findings}
    assert found == {("tank.rising", "tank:a"), ("tank.rising", "tank:b"), ("tank.all", "tank:a"),
                     ("tank.all", "tank:b")}  # fmt: skip
    assert {f.summary for f in result.findings if f.check == "tank.all"} == {
        "2 tanks, labelled True"
    }
    assert {(s.what, s.reason, s.enable) for s in result.skips} == {
        ("tank.opaque", "the lid is closed", "open the lid")
    }
    assert {f.error for f in result.failures} == {"ZeroDivisionError: oops"}
    assert [(u.key, u.target) for u in result.uses] == [
        ("tank.level", "tank:a"), ("tank.level", "tank:b"),
    ]  # fmt: skip
    assert result.looked == {"tank:a": 3, "tank:b": 3}


def test_facts_of_absent_plugins_are_left_out(registry: Registry) -> None:
    """A snapshot made with a plug-in can be read without it."""
    snapshot = collect([tank("a")], registry, Redactor(), 0.0)
    facts = {k: v for k, v in registry.facts.items() if k != "Level"}
    again = loads(dumps(snapshot), facts)
    assert set(again.records[0].samples) == {"Reach", "Label"}
