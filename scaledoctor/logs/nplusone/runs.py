"""The detector's partial result: fed call by call, merged in order, the same for any cut.

What holds memory: keys at work in the last seconds, with 64 calls at most that are not summed up
yet, and one sum per finding.
"""

from collections import Counter
from dataclasses import dataclass, field
from operator import itemgetter

from scaledoctor.logs.nplusone import cutting, found
from scaledoctor.logs.nplusone.cutting import Edge, Track, boundary, whole
from scaledoctor.logs.nplusone.found import Found
from scaledoctor.logs.nplusone.fragment import Fragment, join, refine, sum_up
from scaledoctor.logs.nplusone.judging import FEWEST, hits, orphans
from scaledoctor.logs.nplusone.shapes import Role, shape
from scaledoctor.logs.sql.calls import Call, Unit

PAUSE = 0.2
"""Seconds of silence that end a request where no trace tells it (labelled logs of several ORMs)."""

WHOLE_SECOND = 1.0
"""The same where both times have no fraction (a prefix with %t): the next second is no pause."""

IDLE = 5.0
"""Seconds after which a key is forgotten; a trace too."""

MOST_KEYS = 20_000
"""Keys held at once; beyond them the oldest half is judged as if it had ended."""

MOST_RAW = 64
"""Calls of a key that wait to be summed up: most units are dropped before."""

MOST_FOUND = 1000
"""Findings told apart; what comes later is left out."""

_EDGES = {Role.BEGIN: Edge.BEGIN, Role.END: Edge.END}
_TRACE = Unit.TRACE
_TEMPLATE = itemgetter(Call._fields.index("template"))


@dataclass(slots=True)
class Runs:
    """Repeated statements of a stretch of a log.

    ``names`` is the reader's table of templates, which may grow; ``show`` keeps three values of
    each finding; ``whole`` says that nothing comes before. ``began`` and ``latest`` are the first
    and the last end. ``tracks`` are the keys at work, ``heads`` those that fell silent and may go
    on from an earlier stretch. ``calls`` and ``micros`` count all reads and writes, ``pooled`` the
    signs of a pooler; ``orphaned`` is calls by template that speak against its parent.
    """

    names: list[bytes] = field(default_factory=list)
    show: bool = False
    whole: bool = False
    began: float | None = None
    latest: float = 0.0
    swept: float = 0.0
    calls: int = 0
    micros: int = 0
    untimed: int = 0
    pooled: int = 0
    tracks: dict[tuple[int, bytes], Track] = field(default_factory=dict)
    heads: dict[tuple[int, bytes], Track] = field(default_factory=dict)
    found: dict[tuple[str, bytes, bytes, bytes], Found] = field(default_factory=dict)
    orphaned: dict[bytes, int] = field(default_factory=dict)
    roles: dict[int, Role] = field(default_factory=dict, repr=False)

    def feed(self, call: Call) -> None:
        """Take the next call of the log."""
        unit, name, _, _, template, _, _, ended, seconds, _, _ = call
        role = self.roles.get(template)
        if role is None:
            role = self.roles[template] = shape(self.names[template]).role
        key = (unit, name)
        track = self.tracks.get(key)
        if track is None:
            track = self._begin(key, ended, seconds)
        elif (idle := ended - track.last) > PAUSE:
            start = ended - (seconds or 0.0)
            if idle > IDLE or (unit != _TRACE and _pause(track.last, start, ended)):
                boundary(track, Edge.PAUSE, self._judge(unit), self._together)
            track.last = ended
        else:
            track.last = ended
        if role >= Role.READ:
            self.calls += 1
            if seconds is None:
                self.untimed += 1
            else:
                self.micros += round(seconds * 1e6)
            fragment = track.atom if track.edge else track.lead
            fragment.raw.append(call)
            if len(fragment.raw) >= MOST_RAW:
                self._sum_up(fragment)
        elif role:
            self._control(track, role, unit)
        if ended > self.latest:
            self.latest = ended

    def _begin(self, key: tuple[int, bytes], ended: float, seconds: float | None) -> Track:
        if self.began is None:
            self.began = self.swept = ended
        if ended - self.swept > IDLE or len(self.tracks) >= MOST_KEYS:
            self._sweep()
        start = ended - (seconds or 0.0)
        known = self.whole or ended - self.began > IDLE or key in self.heads
        track = self.tracks[key] = whole(ended, start) if known else Track(ended, start, ended)
        return track

    def _control(self, track: Track, role: Role, unit: Unit) -> None:
        if role is Role.POOL:
            self.pooled += 1
        elif unit == _TRACE:
            cutting.current(track).ends += role is Role.END
        else:
            boundary(track, _EDGES[role], self._judge(unit), self._together)

    def _sum_up(self, fragment: Fragment) -> Fragment:
        return sum_up(fragment, self.names, show=self.show)

    def _together(self, left: Fragment, right: Fragment) -> Fragment:
        """Two neighbours as one; what is not summed up waits on."""
        if right.n or len(left.raw) + len(right.raw) > MOST_RAW:
            return join(self._sum_up(left), self._sum_up(right))
        left.raw += right.raw
        left.ends += right.ends
        return left

    def _judge(self, unit: int) -> cutting.Judge:
        """How units of a kind are judged once they are complete."""

        def judge(fragment: Fragment, exact: bool) -> None:
            if fragment.size >= FEWEST and _repeats(fragment):
                self._count(self._sum_up(fragment), Unit(unit), exact=exact)

        return judge

    def _count(self, fragment: Fragment, unit: Unit, *, exact: bool) -> None:
        for hit in hits(fragment, unit, exact=exact):
            one = Found(hit.pattern, hit.child, hit.parent, hit.seen.tag)
            if one.key in self.found or len(self.found) < MOST_FOUND:
                found.add(self.found.setdefault(one.key, one), hit)
        for name, n in orphans(fragment, unit, exact=exact):
            self.orphaned[name] = self.orphaned.get(name, 0) + n

    def _sweep(self) -> None:
        """Put keys aside that fell silent, and the oldest half when there are too many."""
        self.swept = self.latest
        silent = [k for k, t in self.tracks.items() if self.latest - t.last > IDLE]
        if len(self.tracks) - len(silent) >= MOST_KEYS:
            by_age = sorted(self.tracks, key=lambda k: self.tracks[k].last)
            silent = by_age[: MOST_KEYS // 2]
        for key in silent:
            self._end(key, self.tracks.pop(key))

    def _end(self, key: tuple[int, bytes], track: Track) -> None:
        boundary(track, Edge.PAUSE, self._judge(key[0]), self._together)
        if not track.whole:
            self.heads[key] = track

    def settle(self) -> "Runs":
        """Sum up all that waits, so that it can be merged or stored; it may be fed on."""
        for track in (*self.tracks.values(), *self.heads.values()):
            for fragment in (track.lead, track.first, track.chain, track.atom):
                if fragment is not None:
                    for seen in self._sum_up(fragment).seen.values():
                        refine(seen)
        return self

    def merge(self, later: "Runs") -> None:
        """Add the stretch of the log that comes next; ``later`` is used up."""
        self.settle()
        later.settle()
        if later.began is None:
            return
        if self.began is None:
            self.began, self.swept = later.began, later.swept
        self._add_sums(later)
        for key, track in later.heads.items():
            self._follow(key, track)
            if key in self.tracks:
                self._end(key, self.tracks.pop(key))
        for key, track in later.tracks.items():
            self._follow(key, track)
        self.latest = max(self.latest, later.latest)
        self._sweep()

    def _follow(self, key: tuple[int, bytes], later: Track) -> None:
        """Put a key's later track behind its earlier one."""
        judge = self._judge(key[0])
        before = self.tracks.pop(key, None)
        if before is not None and (later.whole or later.began - before.last > IDLE):
            self._end(key, before)
            before = None
        if before is not None:
            pause = key[0] != _TRACE and _pause(before.last, later.start, later.began)
            cutting.append(before, later, judge, pause=pause)
            self.tracks[key] = before
            return
        assert self.began is not None
        known = self.whole or key in self.heads or later.began - self.began > IDLE
        self.tracks[key] = cutting.settle(later, judge) if known else later

    def _add_sums(self, later: "Runs") -> None:
        self.calls += later.calls
        self.micros += later.micros
        self.untimed += later.untimed
        self.pooled += later.pooled
        for key, one in later.found.items():
            if key in self.found:
                found.merge(self.found[key], one)
            elif len(self.found) < MOST_FOUND:
                self.found[key] = one
        for name, n in later.orphaned.items():
            self.orphaned[name] = self.orphaned.get(name, 0) + n

    def finish(self) -> "Runs":
        """Judge all that is still open: the log ends here, and began with this."""
        self.settle()
        for key, track in (*self.heads.items(), *self.tracks.items()):
            judge = self._judge(key[0])
            settled = cutting.settle(track, judge)
            boundary(settled, Edge.PAUSE, judge, self._together)
        self.tracks.clear()
        self.heads.clear()
        return self


def _pause(last: float, start: float, ended: float) -> bool:
    """Whether there is silence from one call's end to the next one, which ran until ``ended``."""
    whole_seconds = last.is_integer() and ended.is_integer()
    return start - last > (WHOLE_SECOND if whole_seconds else PAUSE)


def _repeats(fragment: Fragment) -> bool:
    """Whether a template may come often enough; most units end here, and cost no more."""
    if fragment.n:
        return True
    return max(Counter(map(_TEMPLATE, fragment.raw)).values()) >= FEWEST
