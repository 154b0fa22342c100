"""A page lists orders and looks up the customer of each by itself."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from scaledoctor.demo.fault import Fault, Pace
from scaledoctor.demo.shop import Names
from scaledoctor.demo.stage import Stage

LOGGED: Mapping[str, str | int] = {
    "log_min_duration_statement": 0,
    "log_line_prefix": "%m [%p] %c %q%u@%d/%a ",
}
"""A log from which requests can be told."""


@contextmanager
def inject(stage: Stage) -> Iterator[None]:
    """The page is like that from the first request on."""
    yield


def mix(names: Names) -> Mapping[str, float]:
    """Beside the usual traffic somebody looks at the newest orders."""
    return {**names.mix(), "GET /orders": names.weight_order}


FAULT = Fault(
    name="n-plus-one",
    story="the page of the newest orders asks for the customer of each by itself",
    inject=inject,
    checks=("app.n-plus-one",),
    subject=lambda names: names.customers,
    # Look-ups are cheap, but thirty for a page fill a small machine's cores with the others.
    symptoms=("postgres.cpu-bound", "postgres.statement-share"),
    settings=LOGGED,
    pace=Pace(mix=mix),
    hurts=None,  # it was there before the first measurement
    bar=None,
)
