"""Sessions that sleep on purpose: no work, unless they take what others need."""

from collections.abc import Mapping

from scaledoctor.sdk import Window
from scaledoctor.sources.pgbouncer import PoolerPools
from scaledoctor.sources.postgres import Activity, Settings
from scaledoctor_checks.pooling._causes import MOST
from scaledoctor_checks.pooling._inside import Inside
from scaledoctor_checks.pooling._load import WAITING
from scaledoctor_checks.postgres._heavy import asleep


def sleepers_crowd(
    activity: Window[Activity],
    settings: Settings | None,
    pools: Window[PoolerPools] | None,
    seen: Mapping[str, Inside],
) -> bool:
    """Whether those who sleep take half of the slots, or of a pool that clients wait for."""
    if settings is not None:
        usable = settings.max_connections - settings.reserved
        if activity.mean(lambda a: sum(map(asleep, a.sessions))) >= MOST * usable:
            return True
    return any(
        inside.share(asleep) >= MOST and _waiting(pools, key) >= WAITING
        for key, inside in seen.items()
    )


def _waiting(pools: Window[PoolerPools] | None, key: str) -> float:
    """Mean clients that wait for a server of one pool."""
    counts = [sum(p.waiting for p in sample.pools if p.key == key) for sample in pools or ()]
    return sum(counts) / len(counts) if counts else 0.0
