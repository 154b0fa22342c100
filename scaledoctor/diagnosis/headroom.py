"""The headroom table: every resource, the fullest first; and what some consist of."""

from collections.abc import Iterable
from dataclasses import replace

from scaledoctor.model import Chart, State, Use
from scaledoctor.report import Headroom

_ORDER = {State.SATURATED: 0, State.BUSY: 1, State.OK: 2, State.UNKNOWN: 3}


def headroom(uses: Iterable[Use]) -> tuple[Headroom, ...]:
    """Return the table, the fullest first."""
    rows = [
        Headroom(
            resource=use.key,
            target=use.target,
            title=use.title,
            used=use.used,
            limit=use.limit,
            unit=use.unit,
            utilization=use.utilization,
            waiting=use.waiting,
            errors=use.errors,
            state=use.state,
            multiple=use.multiple,
            warn=use.warn,
            critical=use.critical,
            detail=use.detail,
            step=use.step,
            history=use.history,
            queued=use.queued,
        )
        for use in uses
    ]
    return tuple(sorted(rows, key=lambda r: (_ORDER[r.state], -(r.utilization or 0.0), r.resource)))


def charts(uses: Iterable[Use]) -> tuple[Chart, ...]:
    """What the resources consist of, each with its target."""
    return tuple(replace(use.chart, target=use.target) for use in uses if use.chart)
