"""The headroom table: every resource, the fullest first."""

from collections.abc import Iterable

from scaledoctor.model import State, Use
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
        )
        for use in uses
    ]
    return tuple(sorted(rows, key=lambda r: (_ORDER[r.state], -(r.utilization or 0.0), r.resource)))
