"""When a cache is too small: it throws out what is asked for again."""

from scaledoctor_checks.redis._facts import FEW, Lookups

POOR = 0.8
"""Hit ratio below which a cache does not do its work: peers of Redis alert there (tiers, 2.4);
one that evicts calmly at 95 % is what a cache should be."""

TIED = 0.5
"""Keys thrown out for each miss, from which room explains most of the misses. In a cache that is
too small each miss is loaded and pushes out another; misses of expired keys push out none."""


def too_small(found: Lookups, poor: float = POOR, pushed: float = TIED) -> bool:
    """Its hit ratio is poor, and for the misses about as many keys are thrown out."""
    return found.ratio < poor and found.evicted >= FEW and found.pushed_out >= pushed
