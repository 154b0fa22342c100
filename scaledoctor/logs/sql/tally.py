"""Entries become calls, sums and events: the loop that every line of a log goes through."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from scaledoctor.logs.sql import events
from scaledoctor.logs.sql.calls import Call, Unit
from scaledoctor.logs.sql.comments import cut
from scaledoctor.logs.sql.entry import Entry
from scaledoctor.logs.sql.partial import Partial
from scaledoctor.logs.sql.plans import planned
from scaledoctor.logs.sql.sessions import RESETS, Event, Kind, State
from scaledoctor.logs.sql.sums import MOST_SAMPLES, Minute, Sample, slowest
from scaledoctor.logs.sql.templates import Templates
from scaledoctor.logs.sql.times import bucket
from scaledoctor.logs.sql.words import english

_SPOKEN = re.compile(rb"statement: |execute( fetch from)? [^:\n]{0,200}: ")
_HOST = re.compile(rb" - (?:\d+\.\d+\.\d+\.\d+|\[?[0-9a-f:]+\]?):\d+$")

_SHOWN = 2000

Feed = Callable[[Call], None]


class Tally:
    """Reads the entries of one part of a log.

    ``feed`` gets every call in the order of the log. ``literals`` keeps the text of slow samples.
    ``bare`` is the layout's.
    """

    def __init__(
        self,
        templates: Templates,
        feed: Feed | None = None,
        *,
        literals: bool = False,
        bare: bool = False,
    ) -> None:
        self.partial = Partial()
        self._templates = templates
        self._feed = feed
        self._literals = literals
        self._bare = bare
        self._times: defaultdict[int, list[int]] = defaultdict(list)
        self._floors: dict[int, int] = {}
        self._samples: defaultdict[int, list[Sample]] = defaultdict(list)
        self._untimed: Counter[int] = Counter()
        self._units: dict[bytes, tuple[bytes, Unit, bytes]] = {}
        self._heads: defaultdict[bytes, list[Event]] = defaultdict(list)
        self._tails: dict[bytes, State] = {}
        self._local: dict[bytes, State] = {}
        self._minute = Minute()
        self._low = self._high = -1.0

    def add(self, entries: Iterable[Entry]) -> None:
        """Read entries."""
        partial, count = self.partial, 0
        first, last = float("inf"), 0.0
        for entry in entries:
            count += 1
            when = entry[0]
            if when > last:
                last = when
            if when < first and when:
                first = when
            message = entry[3]
            if message.startswith(b"duration: "):
                self._duration(entry, message)
            elif entry[2] != b"LOG" or not self._said(entry, message):
                events.take(entry, partial, self._templates, literals=self._literals)
        partial.entries += count
        partial.last = max(partial.last, last)
        if first < (partial.first or float("inf")):
            partial.first = first

    def _duration(self, entry: Entry, message: bytes) -> None:
        """Take ``duration: 1.234 ms  KIND NAME: TEXT``; splitting it is quicker than a pattern."""
        parts = message.split(b" ", 5)
        digits = parts[1].replace(b".", b"", 1)
        if not digits.isdigit() or parts[1][-4:-3] != b"." or parts[2:3] != [b"ms"]:
            return
        micros = int(digits)
        kind = parts[4] if len(parts) > 4 and not parts[3] else b""
        if kind == b"parse" or kind == b"bind":
            state = self._tails.get(entry[1])
            if state is not None:
                state.owed += micros
            else:
                self._take(entry, Event(Kind.PREPARE, "", micros, entry[0]))
        elif kind == b"statement:":
            self._call(entry, Kind.CALL, parts[5] if len(parts) > 5 else b"", micros)
        elif kind == b"execute" and len(parts) > 5:
            name, _, text = parts[5].partition(b": ")
            if name.startswith(b"fetch from"):
                self._fetch(text, micros)
            else:
                self._call(entry, Kind.CALL, text, micros, True)
        elif kind.startswith(b"plan:\n"):
            self._call(entry, Kind.PLAN, planned(message.partition(b"plan:\n")[2]), micros)
        elif len(parts) == 3:
            self._take(entry, Event(Kind.BARE, "", micros, entry.when))

    def _call(
        self, entry: Entry, kind: Kind, text: bytes, micros: int, extended: bool = False
    ) -> None:
        tag = request = b""
        if b"/*" in text:
            text, tag, request = cut(text)
        number = self._templates.number(text)
        state = self._tails.get(entry[1])
        known = state is not None and kind is Kind.CALL and not (state.plan or state.spoken)
        if known and state is not None:
            if extended and state.owed and micros >= 0:
                micros += state.owed
            state.owed = 0
            state.last, state.took = self._templates.names[number], micros
        call = None
        if self._feed is not None:
            call = self._call_of(entry, number, text, micros, tag, request)
        if not known:
            self._take(entry, self._event(entry, kind, number, text, micros, extended, call))
            return
        self._count(entry, number, text, micros)
        if call is not None and self._feed is not None:
            self._feed(call)

    def _count(self, entry: Entry, number: int, text: bytes, micros: int) -> None:
        """Count an execution that needs nothing from before."""
        when = entry[0]
        if not self._low <= when < self._high:
            number_of_minute = int(when) // 60
            self._minute = self.partial.minute(number_of_minute)
            self._low, self._high = number_of_minute * 60.0, number_of_minute * 60.0 + 60
        self._minute.calls += 1
        if micros < 0:
            self._untimed[number] += 1
            return
        self._minute.micros += micros
        self._times[number].append(micros)
        if micros >= self._floors.get(number, -1):
            kept = slowest([*self._samples[number], self._sample(entry, text, micros)])
            self._samples[number] = kept
            if len(kept) == MOST_SAMPLES:
                self._floors[number] = kept[-1].micros

    def _take(self, entry: Entry, event: Event) -> None:
        """Step the session; until its state is known its events are kept for what comes before."""
        session = entry[1]
        state = self._tails.get(session)
        if state is not None:
            state.step(event, self._complete)
            return
        self._heads[session].append(event._replace(call=None))
        local = self._local.get(session)
        if local is None:
            local = self._local[session] = State()
        local.step(event, self._fed)
        if event.kind in RESETS:
            self._tails[session] = self._local.pop(session)

    def _complete(self, event: Event) -> None:
        self.partial.emit(event)
        self._fed(event)

    def _fed(self, event: Event) -> None:
        if self._feed is not None and event.call is not None:
            seconds = event.micros / 1e6 if event.micros >= 0 else None
            self._feed(event.call._replace(seconds=seconds, ended=event.when))

    def _event(
        self, entry: Entry, kind: Kind, number: int, text: bytes, micros: int, extended: bool,
        call: Call | None,
    ) -> Event:  # fmt: skip
        sample = self._sample(entry, text, micros)
        name = self._templates.names[number].decode("utf-8", "replace")
        return Event(kind, name, micros, entry.when, extended, sample.application, sample.text,
                     sample.parameters, call)  # fmt: skip

    def _sample(self, entry: Entry, text: bytes, micros: int) -> Sample:
        sample = Sample(micros, entry.when, entry.application.decode("utf-8", "replace"))
        if self._literals:
            sample.text = text[:_SHOWN].decode("utf-8", "replace")
            sample.parameters = entry.detail[:_SHOWN].decode("utf-8", "replace")
        return sample

    def _call_of(
        self, entry: Entry, number: int, text: bytes, micros: int, tag: bytes, request: bytes
    ) -> Call:
        when, session, detail, application = entry[0], entry[1], entry[4], entry[9]
        if request:
            unit, key = Unit.TRACE, request
        else:
            known = self._units.get(session)
            if known is None or known[0] != application:
                known = self._units[session] = (application, *_unit(entry))
            _, unit, key = known
        if detail:
            detail = detail.partition(b": ")[2]
        seconds = micros / 1e6 if micros >= 0 else None
        # Past the Python function that a NamedTuple's constructor is: this is the hottest line.
        return tuple.__new__(Call, (unit, key, session, application, number, text, detail, when,
                                    seconds, tag, entry[11]))  # fmt: skip

    def _said(self, entry: Entry, message: bytes) -> bool:
        """Take a statement's line without a duration, and a duration in another language."""
        plain = english(message) if not message.isascii() or message[:1].isupper() else message
        if plain.startswith(b"duration: "):
            self._duration(entry, plain)
            return True
        found = _SPOKEN.match(plain)
        if found is None:
            return False
        if found[1] is None:
            kind = Kind.SPOKEN if self._bare else Kind.CALL
            self._call(entry, kind, plain[found.end() :], -1)
        return True

    def _fetch(self, text: bytes, micros: int) -> None:
        """More rows of a cursor take time and are no execution."""
        self.partial.statement(events.name(cut(text)[0], self._templates)).micros += micros

    def finished(self) -> Partial:
        """The sums; the tally is used up."""
        partial, names = self.partial, self._templates.names
        for number, times in self._times.items():
            statement = partial.statement(names[number].decode("utf-8", "replace"))
            partial.calls += len(times)
            statement.count += len(times)
            statement.timed += len(times)
            statement.micros += sum(times)
            statement.most = max(statement.most, max(times))
            for micros, count in Counter(times).items():
                statement.times[bucket(micros)] += count
            statement.samples = slowest([*statement.samples, *self._samples[number]])
        for number, count in self._untimed.items():
            partial.statement(names[number].decode("utf-8", "replace")).count += count
            partial.calls += count
        for state in (*self._local.values(), *self._tails.values()):
            for event in filter(None, (state.plan, state.spoken)):
                self._fed(event)
        partial.heads = {_key(s): found for s, found in self._heads.items()}
        partial.tails = {_key(s): state.bare() for s, state in self._tails.items()}
        return partial


def _key(session: bytes) -> str:
    return session.decode("latin-1")


def _unit(entry: Entry) -> tuple[Unit, bytes]:
    """What tells one request from another where no comment does."""
    application, session = entry.application, entry.session
    if _HOST.search(application):
        return Unit.CLIENT, application
    if session:
        return Unit.SESSION, session
    return Unit.WINDOW, entry.user + b"@" + entry.database + b"/" + application
