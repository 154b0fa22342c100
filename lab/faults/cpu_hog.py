"""A stranger on the same machine takes the processors."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from lab.programs import SPIN
from scaledoctor.demo.fault import Fault, Pace
from scaledoctor.demo.stage import Stage


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Start six busy programs for each core: with fewer the scheduler still serves the shop."""
    for _ in range(6 * (os.cpu_count() or 1)):
        stage.work("spin", program=SPIN)
    yield


FAULT = Fault(
    name="cpu-hog",
    story="a video job starts on the database's machine",
    inject=inject,
    checks=("host.cpu-other-process",),
    subject=lambda names: "spin.py",
    pace=Pace(think_ms=15.0),
)
