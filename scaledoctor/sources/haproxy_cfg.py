"""haproxy.cfg: its sections with file and line, without its secrets."""

import re
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from scaledoctor.sdk import Redactor, Target, Unreachable, fact, probe, source

MOST_BYTES = 16 * 2**20
"""Above 100,000 servers; what is larger is no configuration."""

MOST_LINES = 50_000
"""Directives kept in a snapshot; the rest is counted."""

PROXIES = ("frontend", "backend", "listen")

OTHERS = (
    "acme", "cache", "crt-store", "fcgi-app", "http-errors", "log-forward", "log-profile",
    "mailers", "peers", "program", "resolvers", "ring", "traces", "userlist",
)  # fmt: skip
"""Sections that hold nothing of interest here, and secrets."""

KEPT = frozenset(
    ("balance", "bind", "cookie", "default-server", "hash-type", "http-request", "http-reuse",
     "maxconn", "mode", "no", "option", "retries", "server", "server-template", "stats", "stick",
     "timeout")
)  # fmt: skip
"""Directives that are kept; all others, headers and passwords among them, are left out."""


@dataclass(frozen=True, slots=True)
class Directive:
    """One line: its number and its words; ``no`` before an option is the first word."""

    line: int
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        """The first word, or the first two where it is one of many alike."""
        wide = self.words[0] in ("http-request", "option", "timeout", "stats", "no")
        return " ".join(self.words[: 2 if wide else 1])


@dataclass(frozen=True, slots=True)
class Section:
    """A section: its kind, name, line, and what it says.

    ``defaults`` is the line of the defaults section that it inherits from, 0 without one.
    """

    kind: str
    name: str
    line: int
    defaults: int
    directives: tuple[Directive, ...]

    @property
    def label(self) -> str:
        """How people know it: backend app."""
        return f"{self.kind} {self.name}".strip()

    def own(self, name: str) -> list[Directive]:
        """Its own lines of that name, not what it inherits."""
        return [d for d in self.directives if d.name == name]


@fact
@dataclass(frozen=True, slots=True)
class HaproxyCfg:
    """The sections that matter, in order; ``left_out`` counts lines beyond the bound."""

    file: str
    sections: tuple[Section, ...]
    left_out: int

    @property
    def proxies(self) -> list[Section]:
        """Frontends, backends and listens."""
        return [s for s in self.sections if s.kind in PROXIES]

    def lineage(self, section: Section) -> Iterator[Section]:
        """The section and what it inherits from; a defaults section stands above its heirs."""
        while True:
            yield section
            if not 0 < section.defaults < section.line:
                return
            at = bisect_left(self.sections, section.defaults, key=lambda s: s.line)
            section = self.sections[at]

    def setting(self, section: Section, name: str) -> Directive | None:
        """The line that holds for a section: its own last one, or one that it inherits."""
        found = (line for at in self.lineage(section) for line in reversed(at.own(name)))
        return next(found, None)

    def on(self, section: Section, option: str) -> Directive | None:
        """The line that switches an option on; None when nothing does, or ``no option`` holds."""
        lines = (line for at in self.lineage(section) for line in reversed(at.directives))
        for line in lines:
            if line.words[:2] == ("option", option):
                return line
            if line.words[:3] == ("no", "option", option):
                return None
        return None

    def place(self, line: int) -> str:
        """file:line."""
        return f"{self.file}:{line}"


@dataclass
class HaproxyCfgSession:
    """What the file says."""

    cfg: HaproxyCfg


@source("haproxy-cfg", HaproxyCfgSession)
@asynccontextmanager
async def haproxy_cfg_file(target: Target, redactor: Redactor) -> AsyncIterator[HaproxyCfgSession]:
    """One configuration file of HAProxy."""
    import asyncio

    # In a thread: a large file must not hold up the samples of other targets.
    yield HaproxyCfgSession(await asyncio.to_thread(_read, Path(target.dsn), redactor))


@probe(cost="the file is read once")
async def haproxy_cfg(file: HaproxyCfgSession) -> HaproxyCfg:
    """Give what was read."""
    return file.cfg


def _read(path: Path, redactor: Redactor) -> HaproxyCfg:
    """Read and parse it.

    Raises:
        Unreachable: it cannot be read, or is no configuration of HAProxy.

    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        enable = "run as a user that may read it"
        raise Unreachable("file", f"{path}: {error.strerror}", "", enable) from None
    if len(data) > MOST_BYTES:
        raise Unreachable("file", f"{path} is larger than {MOST_BYTES // 2**20} MB")
    if b"\0" in data:
        raise Unreachable("syntax", f"{path} is not a text file")
    cfg = parse(data.decode("utf-8", "replace"), path.name)
    seen: dict[str, str] = {}
    return replace(cfg, sections=tuple(_clean(s, redactor, seen) for s in cfg.sections))


def _clean(section: Section, redactor: Redactor, seen: dict[str, str]) -> Section:
    """Mask secrets in every word, each word once."""

    def clean(word: str) -> str:
        if word not in seen:
            seen[word] = redactor.text(word)[:160]
        return seen[word]

    lines = tuple(Directive(d.line, tuple(map(clean, d.words))) for d in section.directives)
    return replace(section, name=clean(section.name), directives=lines)


def parse(text: str, file: str) -> HaproxyCfg:
    """Read the sections of a configuration.

    Both branches of ``.if`` are kept; environment variables stay as they are written.

    Raises:
        Unreachable: a line that HAProxy could not read either, with its number; or no section.

    """
    sections: list[Section] = []
    known: list[Section] = []
    lines: list[Directive] = []
    begun, kept, total = False, False, 0
    for number, row in enumerate(text.split("\n"), 1):
        words = tuple(_words(row, f"{file}:{number}"))
        if not words or words[0].startswith("."):
            continue
        if words[0] in ("global", "defaults", *PROXIES, *OTHERS):
            _close(sections, lines)
            begun, kept = True, words[0] not in OTHERS
            if kept:
                sections.append(_section(words, number, known, file))
                known.extend(sections[-1:] if words[0] == "defaults" else ())
        elif not begun:
            raise Unreachable("syntax", f"{file}:{number}: no section of HAProxy begins here")
        elif kept and words[0] in KEPT:
            total += 1
            if total <= MOST_LINES:
                lines.append(Directive(number, _safe(words)))
    _close(sections, lines)
    if not sections:
        raise Unreachable("syntax", f"{file} has no section of HAProxy's configuration")
    return HaproxyCfg(file, tuple(sections), max(0, total - MOST_LINES))


def _close(sections: list[Section], lines: list[Directive]) -> None:
    """Give the lines so far to the section that they stand in."""
    if sections and lines:
        sections[-1] = replace(sections[-1], directives=tuple(lines))
    lines.clear()


def _section(words: tuple[str, ...], line: int, known: list[Section], file: str) -> Section:
    """Begin a section; it inherits from the last of the known defaults, or from those it names."""
    kind, rest = words[0], list(words[1:])
    name = rest[0] if rest and rest[0] != "from" else ""
    parent = known[-1].line if known and kind in PROXIES else 0
    if "from" in rest[:2]:
        wanted = rest[rest.index("from") + 1 :][:1]
        named = [s for s in known if [s.name] == wanted]
        if not named:
            other = "".join(wanted)
            message = f"{file}:{line}: {kind} {name} from {other}: no such defaults above"
            raise Unreachable("syntax", message)
        parent = named[-1].line
    return Section(kind, name, line, parent, ())


def _safe(words: tuple[str, ...]) -> tuple[str, ...]:
    """Without the password of ``stats auth``, and without headers that are set."""
    if words[:2] == ("stats", "auth"):
        return (*words[:2], "***")
    return words[:2] if words[0] == "http-request" else words


_SPECIAL = re.compile(r"""["'\\]""")


def _words(row: str, place: str) -> Iterator[str]:
    """Words of a line as HAProxy splits it: quotes, backslashes and comments (section 2.2)."""
    if not _SPECIAL.search(row):
        yield from row.partition("#")[0].split()
        return
    word: list[str] = []
    quote, inside, escaped = "", False, False
    for letter in row.rstrip("\r"):
        if escaped:
            word.append(letter)
            escaped = False
        elif letter == "\\" and quote != "'":
            escaped = inside = True
        elif quote:
            if letter == quote:
                quote = ""
            else:
                word.append(letter)
        elif letter in "'\"":
            quote, inside = letter, True
        elif letter == "#":
            break
        elif letter.isspace():
            if inside:
                yield "".join(word)
            word, inside = [], False
        else:
            word.append(letter)
            inside = True
    if quote:
        raise Unreachable("syntax", f"{place}: a quote is not closed")
    if inside:
        yield "".join(word)
