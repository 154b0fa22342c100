"""Plug-ins are found by entry points; broken ones are reported and survived."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scaledoctor.collect import collect
from scaledoctor.errors import ScaledoctorError
from scaledoctor.examine import examine
from scaledoctor.redact import Redactor
from scaledoctor.registry import load
from scaledoctor.targets import Target
from tests.engine.plugin import BARREL, SOURCE, install

GROUPS = ("scaledoctor.tests",)
SILENT = BARREL.replace("probe,", "Unavailable, probe,").replace(
    'return Level("barrel", 10)', 'raise Unavailable("")'
)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_the_built_in_plugins_load_without_a_problem() -> None:
    """Everything of ours registers under unique names."""
    registry = load()
    assert registry.problems == []
    assert {"postgres.connections", "postgres.locks"} <= set(registry.resources)
    assert {"postgres.idle-in-transaction", "postgres.ddl-queue"} <= set(registry.checks)
    assert {"postgres", "host"} <= set(registry.sources)
    assert {"terminal", "markdown", "json"} <= set(registry.renderers)


def test_a_third_party_registers_as_we_do(site: Path) -> None:
    """One entry point per provider brings its source, facts, resources and checks."""
    install(site, "tankplug", SOURCE)
    registry = load(groups=GROUPS)
    assert registry.problems == []
    assert set(registry.checks) == {"tank.rising", "tank.opaque", "tank.broken", "tank.all"}
    assert set(registry.sources) == {"tank"}
    assert registry.kinds_of(registry.facts["Level"]) == {"tank"}


def test_a_broken_provider_is_reported_and_survived(site: Path) -> None:
    """An import error names the provider; the others still load."""
    install(site, "tankplug", SOURCE)
    install(site, "awry", "raise RuntimeError('bad install')")
    registry = load(groups=GROUPS)
    (problem,) = registry.problems
    assert "awry" in problem.what
    assert problem.error == "RuntimeError: bad install"
    assert "tank.rising" in registry.checks


def test_one_bad_check_does_not_take_its_neighbours_along(tmp_path: Path) -> None:
    """A check without docstring or with a wrong annotation is a problem of its own."""
    (tmp_path / "mine.py").write_text(
        "from scaledoctor.sdk import *\n"
        "@check('my.bare', step=Step.POOL)\n"
        "def bare(reach: Reach): ...\n"
        "@check('my.union', step=Step.POOL)\n"
        "def union(reach: Reach | int):\n    'Summary.'\n"
        "@check('my.good', step=Step.POOL)\n"
        "def good(reach: Reach):\n    'Summary.'\n"
    )
    registry = load((tmp_path,), groups=())
    assert set(registry.checks) == {"my.good"}
    assert sorted(p.error for p in registry.problems) == [
        "TypeError: _scaledoctor_local_mine.union: 'reach' may be T or T | None, no other union",
        "TypeError: my.bare: no docstring",
    ]


def test_an_id_taken_twice_is_reported_and_the_first_stays(tmp_path: Path) -> None:
    """Two folders may bring the same check: the second one is refused by name."""
    text = (
        "from scaledoctor.sdk import *\n"
        "@check('my.check', step=Step.POOL)\n"
        "def one(reach: Reach):\n    'Summary.'\n"
    )
    (tmp_path / "a.py").write_text(text)
    (tmp_path / "b.py").write_text(text)
    registry = load((tmp_path,), groups=())
    assert [p.error for p in registry.problems] == ["TypeError: 'my.check' is defined twice"]
    assert registry.checks["my.check"].module == "_scaledoctor_local_a"


def test_a_missing_folder_is_a_usage_error(tmp_path: Path) -> None:
    """The message names the folder."""
    with pytest.raises(ScaledoctorError, match="no such folder"):
        load((tmp_path / "nowhere",), groups=())


def test_one_fact_may_come_from_several_kinds_of_targets(site: Path) -> None:
    """Resources and checks of the first kind then look at the other one too."""
    install(site, "tankplug", SOURCE)
    install(site, "barrelplug", BARREL)
    registry = load(groups=GROUPS)
    assert registry.problems == []
    assert registry.kinds_of(registry.facts["Level"]) == {"tank", "barrel"}
    targets = [Target("tank", "tank", "", "a"), Target("barrel", "barrel", "")]
    seen = examine(collect(targets, registry, Redactor(), 0.0), registry)
    assert {(u.resource, u.target, u.used) for u in seen.uses} == {
        ("tank.level", "tank", 1.0), ("tank.level", "barrel", 10.0),
    }  # fmt: skip


def test_a_target_without_anything_to_say_is_passed_over(site: Path) -> None:
    """Unavailable without a reason: neither skipped nor quiet, where others have the fact too."""
    install(site, "tankplug", SOURCE)
    install(site, "barrelplug", SILENT)
    registry = load(groups=GROUPS)
    assert registry.problems == []
    (record,) = collect([Target("barrel", "barrel", "")], registry, Redactor(), 0.0).records
    assert (record.skips, record.failures) == ((), ())
    targets = [Target("tank", "tank", "", "a"), Target("barrel", "barrel", "")]
    seen = examine(collect(targets, registry, Redactor(), 0.0), registry)
    assert {(u.resource, u.target) for u in seen.uses} == {("tank.level", "tank")}
    assert "barrel" not in {skip.target for skip in seen.skips}


def test_two_facts_of_one_name_cannot_both_be_stored(site: Path) -> None:
    """A snapshot keeps facts by name: the second class is refused by name."""
    install(site, "tankplug", SOURCE)
    install(site, "urnplug", SOURCE.replace('"tank', '"urn').replace("Tank", "Urn"))
    problems = {p.error for p in load(groups=GROUPS).problems}
    assert "TypeError: 'Level' is another plug-in's fact" in problems
