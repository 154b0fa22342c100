"""Every check and resource is documented, and every check has a quiet and a firing test."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scaledoctor.registry import load
from scaledoctor.sdk import Check, Resource
from tests.checks.recorder import RECORD

REGISTRY = load()
PLUGINS: dict[str, Check[...] | Resource[..., Any]] = {**REGISTRY.resources, **REGISTRY.checks}
SECTIONS = {
    Check: ("Why", "How measured", "Fix", "When to ignore", "References"),
    Resource: ("How measured", "Thresholds"),
}

pytestmark = pytest.mark.parametrize("plugin", PLUGINS.values(), ids=PLUGINS)


def test_the_id_is_an_area_and_a_name(plugin: Check[...] | Resource[..., Any]) -> None:
    """``area.kebab-name``; it is stable for ever."""
    assert re.fullmatch(r"[a-z]+\.[a-z0-9]+(-[a-z0-9]+)*", plugin.id)


def test_the_summary_is_one_short_sentence(plugin: Check[...] | Resource[..., Any]) -> None:
    """At most 80 characters, so that a line of ``scaledoctor checks`` can be read."""
    first, _, rest = plugin.doc.partition("\n")
    assert first.endswith(".")
    assert len(plugin.title) <= 80
    assert rest.startswith("\n")


def test_every_section_is_there_in_order(plugin: Check[...] | Resource[..., Any]) -> None:
    """A reader of ``checks show`` finds the same sections everywhere."""
    wanted = SECTIONS[type(plugin)]
    found = re.findall(r"^([A-Z][a-z]+(?: [a-z]+)*): ", plugin.doc, re.M)
    assert [name for name in found if name in wanted] == list(wanted)


def test_every_threshold_is_explained_by_name(plugin: Check[...] | Resource[..., Any]) -> None:
    """``checks show`` lists names and defaults; the text says what they limit."""
    numbers = [k for k, v in plugin.signature.options.items() if isinstance(v, int | float)]
    assert [name for name in numbers if f"``{name}``" not in plugin.doc] == []


@pytest.fixture(scope="module")
def fired(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bool]]:
    """Whether each check found something, over all calls in the tests on plain facts."""
    record = tmp_path_factory.mktemp("catalogue") / "fired.json"
    pure = "not live and not slow and not lab"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.checks.recorder", "-m", pure]
    here = Path(__file__)
    subprocess.run(
        [*command, f"--ignore={here}", "-p", "no:cacheprovider", str(here.parent)],
        env={**os.environ, RECORD: str(record)},
        cwd=here.parents[2],
        capture_output=True,
        check=False,  # a test that fails is no concern of this one
    )
    found: dict[str, list[bool]] = json.loads(record.read_text(encoding="utf-8"))
    return found


def test_every_check_is_tested_quiet_and_firing(
    plugin: Check[...] | Resource[..., Any], fired: dict[str, list[bool]]
) -> None:
    """Called as a plain function with plain facts: once it must stay silent, once it must not."""
    if isinstance(plugin, Check):
        assert fired.get(plugin.id) == [False, True]
