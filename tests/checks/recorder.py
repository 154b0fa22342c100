"""A pytest plug-in that writes down which checks the tests called, and whether they fired."""

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scaledoctor.sdk import Check, Finding

RECORD = "SCALEDOCTOR_RECORD"
"""Names the file to write."""

fired: dict[str, set[bool]] = defaultdict(set)


def call(check: Check[...], *args: Any, **kwargs: Any) -> Iterator[Finding]:
    """Run a check as a test does, and remember whether it found something."""
    found: Iterable[Finding] = list(check.function(*args, **kwargs))
    fired[check.id].add(bool(found))
    return iter(found)


def pytest_configure(config: pytest.Config) -> None:
    """From now on every plain call of a check goes through ``call``."""
    patch = pytest.MonkeyPatch()
    patch.setattr(Check, "__call__", call)
    config.add_cleanup(patch.undo)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Write ``{id: [false, true]}``: quiet in some test, fired in another."""
    record = {check: sorted(seen) for check, seen in fired.items()}
    Path(os.environ[RECORD]).write_text(json.dumps(record), encoding="utf-8")
