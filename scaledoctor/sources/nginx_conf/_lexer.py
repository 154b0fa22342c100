"""Words of an nginx configuration with their lines: by crossplane's lexer, or by our own."""

import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Word(NamedTuple):
    """A word, or one of the marks ``;``, ``{`` and ``}`` when it is not ``quoted``."""

    text: str
    line: int
    quoted: bool

    @property
    def mark(self) -> str:
        """The mark that it is, else empty."""
        return self.text if self.text in (";", "{", "}") and not self.quoted else ""


class BadSyntax(Exception):  # noqa: N818  it says what is wrong, not that we failed
    """What nginx would refuse, and in which line."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.what = what
        self.line = line


# As ngx_conf_read_token: a quote, a closing brace and a # are special only where a word begins.
_TOKEN = re.compile(
    r"""[ \t\r\n]+ | \#[^\n]*
    | (?P<mark>[;{}])
    | '(?P<single>(?:[^'\\]|\\.)*)'
    | "(?P<double>(?:[^"\\]|\\.)*)"
    | (?P<word>(?:\\.|\$\{?|[^\s;{}"'#\\$])(?:\\.|\$\{?|[^ \t\r\n;{\\$])*)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\([\"'\\])")
_LUA = re.compile(
    r"""--\[(=*)\[.*?\]\1\] | --[^\n]* | \[(=*)\[.*?\]\2\]
    | "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | (?P<brace>[{}])""",
    re.VERBOSE | re.DOTALL,
)

CROSSPLANE = "crossplane"
"""The extra ``[nginx]``."""


def words(path: Path, text: str) -> list[Word]:
    """Split one file into words, without its comments.

    crossplane refuses some configurations that nginx takes (its issues 87, 110 and 120); what
    our own lexer says of them stands.

    Raises:
        BadSyntax: a quote or a block of Lua is not closed.

    """
    if importlib.util.find_spec(CROSSPLANE):
        library = importlib.import_module(CROSSPLANE)
        try:
            found = [Word(*token) for token in library.lex(str(path))]
        except library.errors.NgxParserBaseException:
            return list(own_words(text))
        return [w for w in found if w.quoted or not w.text.startswith("#")]
    return list(own_words(text))


def own_words(text: str) -> Iterator[Word]:
    """Split a text as nginx does.

    Raises:
        BadSyntax: as :func:`words`.

    """
    at, line, directive = 0, 1, ""
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise BadSyntax(
                f"{text[at]} is not closed" if text[at] in "'\"" else "a stray \\", line
            )
        if found.lastgroup == "mark":
            if found["mark"] == "{" and directive.endswith("_by_lua_block"):
                end = _lua_end(text, found.end(), line)
                yield Word(text[found.end() : end - 1], line, True)
                yield Word(";", line, False)
                line, at, directive = line + text.count("\n", at, end), end, ""
                continue
            directive = ""
            yield Word(found["mark"], line, False)
        elif found.lastgroup is not None:
            word = found[found.lastgroup]
            if "\\" in word:
                word = _ESCAPE.sub(r"\1", word)
            directive = directive or word
            yield Word(word, line, found.lastgroup != "word")
        line += text.count("\n", at, found.end())
        at = found.end()


def _lua_end(text: str, at: int, line: int) -> int:
    """Where a block of Lua ends: braces inside strings and comments do not count."""
    depth = 1
    for found in _LUA.finditer(text, at):
        depth += {"{": 1, "}": -1}.get(found["brace"] or "", 0)
        if depth == 0:
            return found.end()
    raise BadSyntax("a block of Lua is not closed", line)
