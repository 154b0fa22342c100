"""PgBouncer's configuration file, with the file and line of every setting."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scaledoctor.redact import MASK
from scaledoctor.sdk import Redactor, Target, Unreachable, fact, probe, source

MOST_BYTES = 4 * 2**20
"""Of one file; a line per database, ten thousand of them, is one."""

DEEPEST = 10
"""Nested includes, as PgBouncer itself allows (cfparser.c)."""

MOST_FILES = 100

_KEY = re.compile(r"(?:'(?P<quoted>[^']+)'|(?P<plain>[A-Za-z0-9_.*-]+))[ \t]*=[ \t]*(?P<value>.*)")
_OPTION = re.compile(r"\s*(?P<name>\w+)\s*=\s*(?:'(?P<quoted>(?:[^']|'')*)'|(?P<plain>\S*))")

_SECRET = re.compile(r"pass|secret|token|auth_ldap", re.IGNORECASE)
"""Names whose values are masked as a whole: LDAP options have no fixed form."""


@dataclass(frozen=True, slots=True)
class IniLine:
    """One setting, or one entry of [databases], [users] or [peers]; secrets are masked."""

    section: str
    name: str
    value: str
    file: str
    line: int

    @property
    def where(self) -> str:
        """file:line."""
        return f"{self.file}:{self.line}"

    @property
    def options(self) -> Mapping[str, str]:
        """The options of an entry's connection string by name."""
        return {
            match["name"]: match["plain"] or (match["quoted"] or "").replace("''", "'")
            for match in _OPTION.finditer(self.value)
        }


@dataclass(frozen=True, slots=True)
class IniProblem:
    """A line at which PgBouncer stops reading, a file that could not be read here, or a reset."""

    file: str
    line: int
    words: str

    @property
    def where(self) -> str:
        """file:line."""
        return f"{self.file}:{self.line}"


@fact
@dataclass(frozen=True, slots=True)
class PoolerIni:
    """All lines that count, in the order in which PgBouncer reads them, includes in their place.

    ``resets`` are places at which [pgbouncer] is opened again: that sets everything before it back
    to its default.
    """

    file: str
    lines: tuple[IniLine, ...]
    problems: tuple[IniProblem, ...] = ()
    resets: tuple[IniProblem, ...] = ()

    def setting(self, name: str) -> IniLine | None:
        """The last line of [pgbouncer] that sets it: that one counts."""
        found = [one for one in self.section("pgbouncer") if one.name == name]
        return found[-1] if found else None

    def section(self, name: str) -> tuple[IniLine, ...]:
        """The lines of one section, wherever they stand."""
        return tuple(one for one in self.lines if one.section == name)

    def number(self, name: str, default: int) -> int:
        """A numeric setting; PgBouncer's default when it is absent or no number."""
        line = self.setting(name)
        value = line.value if line else ""
        return int(value) if value.lstrip("-").isdigit() else default


@dataclass
class IniSession:
    """A configuration file that was read."""

    ini: PoolerIni


@source("pgbouncer-ini", IniSession)
@asynccontextmanager
async def pgbouncer_ini(target: Target, redactor: Redactor) -> AsyncIterator[IniSession]:
    """PgBouncer's configuration file."""
    path = Path(target.dsn)
    try:
        text = _read(path)
    except OSError as error:
        raise Unreachable(
            "file",
            f"{path} cannot be read: {error.strerror}",
            enable="run the scan as its owner or a member of its group",
        ) from None
    except ValueError as error:
        raise Unreachable("file", f"{path} {error}") from None
    yield IniSession(parse(path, text, redactor))


@probe(cost="the file and its includes, once")
async def pooler_ini(session: IniSession) -> PoolerIni:
    """The file's lines."""
    return session.ini


def parse(path: Path, text: str, redactor: Redactor) -> PoolerIni:
    """Parse a file as PgBouncer does (cfparser.c).

    Raises:
        Unreachable: it is something else than a configuration of PgBouncer.
    """
    reading = _Reading(redactor)
    reading.file(path, text, ())
    if not reading.opened and reading.files == 1 and "%include" not in text:
        raise Unreachable("file", f"{path} is no pgbouncer.ini: it has no section [pgbouncer]")
    if not reading.opened:
        reading.problem(path, 1, "there is no section [pgbouncer], in no include either")
    return PoolerIni(
        str(path), tuple(reading.lines), tuple(reading.problems), tuple(reading.resets)
    )


def _read(path: Path) -> str:
    """The file's text.

    Raises:
        ValueError: what it is instead of a configuration.
    """
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"is larger than {MOST_BYTES // 2**20} MB")
    if b"\0" in data:
        raise ValueError("is no text")
    return data.decode("utf-8", "replace")


@dataclass
class _Reading:
    """One pass over a file and its includes; the section goes on into and out of them."""

    redactor: Redactor
    section: str = ""
    opened: bool = False
    lines: list[IniLine] = field(default_factory=list)
    problems: list[IniProblem] = field(default_factory=list)
    resets: list[IniProblem] = field(default_factory=list)
    files: int = 0

    def file(self, path: Path, text: str, above: tuple[Path, ...]) -> None:
        """Read one file; ``above`` are the files that include it."""
        self.files += 1
        for number, line in _lines(text):
            if line.startswith("%include") and line[8:9].isspace():
                self._include(path, number, line[8:].strip(), (*above, path.resolve()))
            elif line.startswith("["):
                self._open(path, number, line)
            elif not self.section:
                self.problem(path, number, "a value before the first section")
            elif match := _KEY.match(line):
                self._add(path, number, match["quoted"] or match["plain"], match["value"])
            else:
                self.problem(path, number, "neither a setting (name = value) nor a comment")

    def _open(self, path: Path, number: int, line: str) -> None:
        """Begin a section; [pgbouncer] begins with the defaults of all settings (cfparser.c)."""
        self.section, bracket, _ = line[1:].partition("]")
        if not bracket:
            self.problem(path, number, "a section without its ]")
        if self.section == "pgbouncer":
            lost = [one.name for one in self.lines if one.section == "pgbouncer"]
            self.lines = [one for one in self.lines if one.section != "pgbouncer"]
            self.opened = True
            if lost:
                self.resets.append(IniProblem(str(path), number, ", ".join(lost)))

    def _include(self, path: Path, number: int, name: str, above: tuple[Path, ...]) -> None:
        """PgBouncer looks from its own working folder; the including file's is the best guess."""
        places = [Path(name)] if name.startswith("/") else [path.parent / name, Path(name)]
        found = next((place for place in places if place.is_file()), places[0])
        if found.resolve() in above:
            self.problem(path, number, f"{name} includes itself")
        elif len(above) > DEEPEST or self.files >= MOST_FILES:
            self.problem(path, number, f"{name}: includes are nested too deep, or too many")
        else:
            try:
                self.file(found, _read(found), above)
            except (OSError, ValueError) as error:
                words = error.strerror if isinstance(error, OSError) else str(error)
                self.problem(path, number, f"include {name} cannot be read: {words}")

    def _add(self, path: Path, number: int, name: str, value: str) -> None:
        secret = _SECRET.search(name) is not None
        shown = MASK if secret else self.redactor.text(value.rstrip())
        self.lines.append(IniLine(self.section, name, shown, str(path), number))

    def problem(self, path: Path, number: int, words: str) -> None:
        """Remember what is wrong with a line."""
        self.problems.append(IniProblem(str(path), number, words))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Numbered lines that say something: comments stand on lines of their own."""
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if line and line[0] not in "#;":
            yield number, line
