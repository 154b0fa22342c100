"""Nothing is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager

from scaledoctor.demo.fault import Fault
from scaledoctor.demo.stage import Stage


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """Leave the shop alone."""
    yield


FAULT = Fault(name="healthy", story="nothing happens: an ordinary hour", inject=inject)
