"""nginx's configuration as a tree of directives, its includes in their places."""

import glob
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from scaledoctor.errors import Unreachable
from scaledoctor.sources.nginx_conf._lexer import BadSyntax, Word, words

MOST_BYTES = 4 * 2**20
"""Of all files together, 2 to 3 s of reading; 10,000 server blocks of one line are 1.2 MB."""

MOST_FILES = 5_000

DEEPEST = 50
"""Blocks and includes in each other; nginx's own grammar needs below 10."""

KNOWN = frozenset(
    ("daemon", "error_log", "events", "http", "include", "load_module", "location", "log_format",
     "map", "pid", "server", "stream", "upstream", "user", "worker_processes")
)  # fmt: skip
"""A file that begins none of these at its top is no configuration of nginx."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive; ``block`` is None without braces."""

    name: str
    arguments: tuple[str, ...]
    place: Place
    block: "tuple[Directive, ...] | None" = None

    @property
    def first(self) -> str:
        """The first argument, empty without any."""
        return self.arguments[0] if self.arguments else ""


@dataclass
class _Open:
    """A directive whose block is being read."""

    name: str
    arguments: tuple[str, ...]
    place: Place
    inside: list[Directive] = field(default_factory=list)


@dataclass
class Reader:
    """Reads a file and what it includes; ``missing`` says what was included and is not there.

    Relative names are taken from the folder of the main file, as nginx does.
    """

    folder: Path
    files: int = 0
    size: int = 0
    missing: list[str] = field(default_factory=list)

    def read(self, path: Path, above: tuple[Path, ...] = ()) -> list[Directive]:
        """Read one file.

        Raises:
            Unreachable: no text, wrong syntax, a ring of includes, or far too large.

        """
        text = self._text(path)
        stack = [_Open("", (), Place(str(path), 1))]
        statement: list[Word] = []
        try:
            for word in words(path, text):
                if not word.mark:
                    statement.append(word)
                    continue
                self._end(word, statement, stack, (*above, path))
                statement = []
            if statement or len(stack) > 1:
                expected = "; or {" if statement else "}"
                raise BadSyntax(f"the file ends where {expected} is expected", text.count("\n") + 1)
        except BadSyntax as bad:
            raise Unreachable("syntax", f"{path}:{bad.line}: {bad.what}") from None
        return stack[0].inside

    def _end(
        self, word: Word, statement: list[Word], stack: list[_Open], chain: tuple[Path, ...]
    ) -> None:
        """What a mark makes of the words before it; ``chain`` are the files down to this one."""
        if bool(statement) == (word.mark == "}") or (word.mark == "}" and len(stack) == 1):
            raise BadSyntax(f"unexpected {word.mark}", word.line)
        if word.mark == "}":
            done = stack.pop()
            block = tuple(done.inside)
            stack[-1].inside.append(Directive(done.name, done.arguments, done.place, block))
            return
        name, *arguments = (w.text for w in statement)
        place = Place(str(chain[-1]), statement[0].line)
        if word.mark == "{":
            if len(stack) + len(chain) > DEEPEST:
                raise BadSyntax(f"blocks nested deeper than {DEEPEST}", word.line)
            stack.append(_Open(name, tuple(arguments), place))
        elif name == "include" and arguments:
            stack[-1].inside.extend(self._include(arguments[0], place, chain))
        else:
            stack[-1].inside.append(Directive(name, tuple(arguments), place))

    def _include(self, name: str, place: Place, chain: tuple[Path, ...]) -> list[Directive]:
        pattern = os.path.join(self.folder, name)
        found = sorted(glob.glob(pattern)) if glob.has_magic(name) else [pattern]
        directives: list[Directive] = []
        for path in map(Path, found):
            if path in chain:
                ring = " -> ".join(map(str, (*chain[chain.index(path) :], path)))
                raise Unreachable("include", f"{place}: files include each other: {ring}")
            if reason := _unreadable(path):
                self.missing.append(f"{place} includes {path}: {reason}")
            else:
                directives.extend(self.read(path, chain))
        return directives

    def _text(self, path: Path) -> str:
        """The whole of a text file, within the limits."""
        try:
            about = path.stat()
            if not stat.S_ISREG(about.st_mode):
                raise Unreachable("file", f"{path} is no ordinary file")
            self.files += 1
            self.size += about.st_size
            if self.size > MOST_BYTES or self.files > MOST_FILES:
                limit = f"{MOST_BYTES // 2**20} MB or {MOST_FILES} files"
                raise Unreachable("file", f"the configuration is larger than {limit}, at {path}")
            data = path.read_bytes()
        except OSError as error:
            raise Unreachable("file", f"{path}: {error.strerror}") from None
        if b"\0" in data:
            raise Unreachable("syntax", f"{path} is no text file")
        return data.decode("utf-8", "replace")


def _unreadable(path: Path) -> str:
    """Why a file cannot be opened; empty when it can."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def read(path: Path) -> tuple[list[Directive], Reader]:
    """Read nginx's main file, or one that it includes, and all that it includes itself.

    Raises:
        Unreachable: as :meth:`Reader.read`, or nothing in it is nginx's.

    """
    reader = Reader(path.parent)
    found = reader.read(path)
    if not reader.missing and not any(d.name in KNOWN for d in found):
        message = f"{path}: no http, server or upstream block: this is no nginx configuration"
        raise Unreachable("syntax", message)
    return found, reader
