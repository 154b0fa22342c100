"""A scan: collect, then diagnose. The two halves also stand alone."""

from collections.abc import Sequence

from scaledoctor.collect import Observer, collect
from scaledoctor.diagnosis import diagnose
from scaledoctor.redact import Redactor
from scaledoctor.registry import Registry
from scaledoctor.report import Report
from scaledoctor.targets import Target


def scan(
    targets: Sequence[Target],
    registry: Registry,
    redactor: Redactor,
    window: float = 10.0,
    observer: Observer = lambda target, doing, share: None,
) -> Report:
    """Look at the targets for ``window`` seconds and return what it means."""
    return diagnose(collect(targets, registry, redactor, window, observer), registry)
