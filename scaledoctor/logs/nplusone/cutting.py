"""Where one request ends and the next one begins, on one key.

Statements between two boundaries (BEGIN, the end of a transaction, a pause) are an atom. An atom
of three statements or more is a unit of its own; smaller ones in a row are a unit together, so
that loops of short transactions stay in sight. A pause ends both. What stands before the first
boundary of a stretch may go on from an earlier stretch, and so may the small atoms behind it: a
track keeps these two apart until it is known what came before.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from scaledoctor.logs.nplusone.fragment import Fragment, join

BIG = 3
"""Statements from which a transaction is a request, and no step of a loop (labelled logs)."""


class Edge(IntEnum):
    """What a boundary is; ``NONE`` while there was none."""

    NONE = 0
    BEGIN = 1
    END = 2
    PAUSE = 3


Judge = Callable[[Fragment, bool], None]
"""Takes a unit that is complete, and whether it is exactly one transaction."""

Together = Callable[[Fragment, Fragment], Fragment]


@dataclass(slots=True)
class Track:
    """One key's statements since they began: ``lead`` [edge] ``chain`` ``atom``.

    ``first`` is the chain behind the lead once it is complete, None while it is ``chain``.
    ``began`` and ``start`` are the end and the start of the first event, ``last`` the end of the
    newest. ``whole`` says that nothing before it belongs to it.
    """

    began: float
    start: float
    last: float
    whole: bool = False
    edge: Edge = Edge.NONE
    lead: Fragment = field(default_factory=Fragment)
    first: Fragment | None = None
    chain: Fragment = field(default_factory=Fragment)
    atom: Fragment = field(default_factory=Fragment)


def whole(began: float, start: float) -> Track:
    """A track that nothing before belongs to."""
    return Track(began, start, began, whole=True, edge=Edge.PAUSE, first=Fragment())


def current(track: Track) -> Fragment:
    """The stretch that the next statement belongs to."""
    return track.atom if track.edge else track.lead


def boundary(track: Track, edge: Edge, judge: Judge, together: Together) -> None:
    """End the atom; a pause ends the unit."""
    if not track.edge:
        track.edge = edge
    else:
        atom = track.atom
        if atom.size >= BIG:
            _end_chain(track, judge)
            judge(atom, atom.opened and edge is Edge.END)
        elif atom.size or edge is Edge.END:
            atom.ends += edge is Edge.END
            track.chain = together(track.chain, atom)
    if edge is Edge.PAUSE:
        _end_chain(track, judge)
    track.atom = Fragment(opened=edge is Edge.BEGIN)


def _end_chain(track: Track, judge: Judge) -> None:
    if track.first is None:
        track.first = track.chain
    else:
        judge(track.chain, False)
    track.chain = Fragment()


def append(track: Track, later: Track, judge: Judge, *, pause: bool) -> None:
    """Add what the same key did later; all of ``later`` is summed up, and it is used up."""
    if pause:
        boundary(track, Edge.PAUSE, judge, join)
    if track.edge:
        track.atom = join(track.atom, later.lead)
    else:
        track.lead = join(track.lead, later.lead)
    track.last = later.last
    if not later.edge:
        return
    boundary(track, later.edge, judge, join)
    if later.first is not None:
        track.chain = join(track.chain, later.first)
        _end_chain(track, judge)
    track.chain = join(track.chain, later.chain)
    track.atom = later.atom


def settle(track: Track, judge: Judge) -> Track:
    """The same track, now that nothing before it belongs to it."""
    if track.whole:
        return track
    settled = whole(track.began, track.start)
    append(settled, track, judge, pause=False)
    return settled
