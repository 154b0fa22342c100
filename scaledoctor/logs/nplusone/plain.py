"""A partial result as JSON and back, so that hosts and days can be joined later.

It holds templates, counts and hashes; values only where they are to be shown.
"""

from dataclasses import dataclass

from scaledoctor.logs.nplusone.cutting import Track
from scaledoctor.logs.nplusone.found import Found
from scaledoctor.logs.nplusone.runs import Runs

Keyed = tuple[int, bytes, Track]


@dataclass(frozen=True, slots=True)
class Stored:
    """`Runs` with lists for its dicts, whose keys JSON does not have."""

    began: float | None
    latest: float
    swept: float
    calls: int
    micros: int
    untimed: int
    pooled: int
    tracks: list[Keyed]
    heads: list[Keyed]
    found: list[Found]
    orphaned: dict[bytes, int]


def dumps(runs: Runs) -> bytes:
    """Return what was found so far, and all that may go on."""
    import msgspec

    runs.settle()
    return msgspec.json.encode(
        Stored(
            began=runs.began,
            latest=runs.latest,
            swept=runs.swept,
            calls=runs.calls,
            micros=runs.micros,
            untimed=runs.untimed,
            pooled=runs.pooled,
            tracks=[(*key, track) for key, track in runs.tracks.items()],
            heads=[(*key, track) for key, track in runs.heads.items()],
            found=list(runs.found.values()),
            orphaned=runs.orphaned,
        )
    )


def loads(data: bytes, names: list[bytes], *, show: bool = False) -> Runs:
    """Read a partial result back; ``names`` is the table of whoever feeds it on.

    Raises:
        msgspec.ValidationError: it is none, or of another version.
        msgspec.DecodeError: it is no JSON.

    """
    import msgspec

    stored = msgspec.json.decode(data, type=Stored)
    return Runs(
        names=names,
        show=show,
        began=stored.began,
        latest=stored.latest,
        swept=stored.swept,
        calls=stored.calls,
        micros=stored.micros,
        untimed=stored.untimed,
        pooled=stored.pooled,
        tracks={(unit, key): track for unit, key, track in stored.tracks},
        heads={(unit, key): track for unit, key, track in stored.heads},
        found={one.key: one for one in stored.found},
        orphaned=stored.orphaned,
    )
