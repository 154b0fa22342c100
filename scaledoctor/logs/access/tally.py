"""What requests add up to, by route: sums and histograms that two halves of a log can merge."""

from dataclasses import dataclass, field

from scaledoctor.logs import histogram
from scaledoctor.logs.access.crowd import crowded
from scaledoctor.logs.access.layout import Layout
from scaledoctor.logs.access.routes import OTHER, route
from scaledoctor.logs.access.sums import (
    MOST_OUTCOMES,
    UNKNOWN,
    Outcome,
    Routed,
    Sums,
    Tries,
    is_failure,
)

MOST_ROUTES = 2000
"""Routes held at once; what comes later is counted as one."""

REMEMBERED = 50_000
"""Distinct requests, and distinct times, whose meaning is kept in memory."""

LONGEST = 600.0
"""Seconds that one request counts at most: an open web socket is no day of work."""

_DIGITS = bytes.maketrans(b"0123456789", b"0000000000")
_SHORT = 3


@dataclass(slots=True)
class Tally:
    """Requests of a span of a log, by route; ``waited`` are seconds in the balancer's queue."""

    layout: Layout
    lines: int = 0
    understood: int = 0
    waited: float = 0.0
    first: float | None = None
    last: float | None = None
    full: bool = False
    routes: dict[str, Routed] = field(default_factory=dict)
    known: dict[bytes, Routed] = field(default_factory=dict, repr=False)
    shapes: dict[bytes, Routed] = field(default_factory=dict, repr=False)
    versions: dict[bytes, Routed] = field(default_factory=dict, repr=False)
    times: dict[bytes, tuple[float, int]] = field(default_factory=dict, repr=False)

    def add(self, block: bytes) -> None:
        """Count the requests of a block of whole lines."""
        if b"\0" in block:
            block = block.replace(b"\0", b"")  # a log that was cut while its writer went on
        self._span(block)
        rows = self.layout.rows(block)
        self.lines += block.count(b"\n") + (not block.endswith(b"\n"))
        self.understood += len(rows)
        known, times = self.known, self.times
        for request, status, total, spent, address, answer, waited in rows:
            routed = known.get(request) or self._route(request)
            whole = times.get(total) or self._time(total)
            part = times.get(spent) or self._time(spent)
            outcome = (status, address, answer)
            sums = routed.outcomes.get(outcome) or _sums(routed, outcome)
            sums.count += 1
            sums.total += whole[0]
            sums.spent += part[0]
            routed.total[whole[1]] += 1
            routed.spent[part[1]] += 1
            if sums.several:
                self._tried(routed, address, answer, spent)
            if waited and waited != b"0":
                self.waited += max(0, int(waited)) * self.layout.scale

    def fewest(self, share: float) -> int:
        """The fewest requests of a route that takes ``share`` of the time; 0 of nothing."""
        work = [_work(routed) for routed in self.routes.values()]
        least = share * sum(spent for spent, _ in work)
        return min((count for spent, count in work if spent >= least), default=0)

    def condense(self) -> None:
        """Put routes together that differ in a name alone and are each seen once or twice."""
        gone: dict[int, tuple[Routed, Routed]] = {}  # keeps the parts: an id is not used again
        for name, alike in crowded({n: r.requests for n, r in self.routes.items()}).items():
            whole = self.routes.setdefault(name, Routed())
            for one in alike:
                part = self.routes.pop(one)
                whole.merge(part)
                gone[id(part)] = (part, whole)
        for memory in (self.known, self.shapes, self.versions):
            memory.update({k: gone[id(r)][1] for k, r in memory.items() if id(r) in gone})

    def _span(self, block: bytes) -> None:
        ends = (block[:4096].split(b"\n")[0], block[-4096:].rstrip().rpartition(b"\n")[2])
        self._stamped(*map(self.layout.stamp, ends))

    def _stamped(self, first: float | None, last: float | None) -> None:
        seen = [s for s in (self.first, self.last, first, last) if s is not None]
        self.first, self.last = min(seen, default=None), max(seen, default=None)

    def _route(self, request: bytes) -> Routed:
        """Find a request's route; requests that differ in digits alone have the same one.

        Where a route has kept the digit of a short part (/v1/), they must not differ there.
        """
        shape = request.translate(_DIGITS)
        routed = self.shapes.get(shape) or self.versions.get(_versions(request))
        if routed is None:
            name = route(request)
            if name not in self.routes and not self._room():
                name = OTHER
            routed = self.routes.setdefault(name, Routed())
            self._remember(request, name, routed)
        if len(self.known) < REMEMBERED:
            self.known[request] = routed
        return routed

    def _room(self) -> bool:
        """Whether one more route can be held; condensing that frees too little is the last."""
        if len(self.routes) >= MOST_ROUTES and not self.full:
            self.condense()
            self.full = len(self.routes) > MOST_ROUTES / 2
        return len(self.routes) < MOST_ROUTES

    def _remember(self, request: bytes, name: str, routed: Routed) -> None:
        if len(self.shapes) + len(self.versions) >= REMEMBERED:
            return
        kept = [part for part in name.split("/") if any(c.isdigit() for c in part)]
        if not kept:
            self.shapes[request.translate(_DIGITS)] = routed
        elif max(map(len, kept)) <= _SHORT:
            self.versions[_versions(request)] = routed

    def _time(self, text: bytes) -> tuple[float, int]:
        """Seconds and bucket of a time or of the sum of its tries."""
        seconds = min(LONGEST, sum(_each(text)) * self.layout.scale)
        found = (seconds, histogram.bucket(seconds))
        if len(self.times) < REMEMBERED:
            self.times[text] = found
        return found

    def _tried(self, routed: Routed, address: bytes, answer: bytes, spent: bytes) -> None:
        """Count each try of a request at its address; the last one is no failure here."""
        answers = _listed(answer)
        addresses = _listed(address)
        if len(addresses) < len(answers):
            lost = UNKNOWN
            if self.layout.grouped:
                lost = address.rpartition(b"/")[0] + b"/" + UNKNOWN
            addresses = [lost] * (len(answers) - len(addresses)) + addresses
        seconds = _each(spent) if len(_listed(spent)) == len(addresses) else []
        for place, one in enumerate(addresses):
            last = place == len(addresses) - 1
            tries = routed.tries.setdefault(one if len(routed.tries) < MOST_OUTCOMES else UNKNOWN,
                                            Tries())  # fmt: skip
            tries.count += 1
            tries.failed += not last and any(map(is_failure, answers[place : place + 1]))
            tries.spent += seconds[place] * self.layout.scale if seconds else 0.0


def _work(routed: Routed) -> tuple[float, int]:
    sums = routed.outcomes.values()
    spent = sum(one.spent for one in sums) or sum(one.total for one in sums)
    return spent, routed.requests


def _versions(request: bytes) -> bytes:
    parts = request.split(b"/")
    return b"/".join(p if len(p) <= _SHORT else p.translate(_DIGITS) for p in parts)


def _sums(routed: Routed, outcome: Outcome) -> Sums:
    several = len(_listed(outcome[1])) > 1 or len(_listed(outcome[2])) > 1
    return routed.outcomes.setdefault(routed.room(outcome), Sums(several=several))


def _listed(text: bytes) -> list[bytes]:
    return text.replace(b" : ", b", ").split(b", ")


def _each(text: bytes) -> list[float]:
    """The numbers of a list; what is none counts as 0."""
    return [float(n) if n.replace(b".", b"", 1).isdigit() else 0.0 for n in _listed(text)]
