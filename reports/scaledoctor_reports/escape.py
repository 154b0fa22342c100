"""Text from outside made inert, for each kind of output.

Names, statements, messages and settings come from the systems that are looked at: whoever can
name a table or send a statement could otherwise write to the reader's terminal or page.
"""

import re
import unicodedata

# Controls (C0, C1, DEL), bidirectional overrides and isolates, zero-width and other format
# characters, line and paragraph separators, surrogates, private use and unassigned: none may
# reach a terminal or a page raw.
_HOSTILE = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"})

SENTENCE = 600
"""Characters after which prose is cut; the JSON report always holds all of it."""

COMMAND = 20_000
"""Characters after which a command is cut: no real fix is as long, and half of one is useless."""


def visible(text: str, keep: str = "", *, unicode: bool = True) -> str:
    """Show every control or invisible character as an escape, but for those in ``keep``.

    With ``unicode`` False every character beyond ASCII is shown as an escape.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in keep or _harmless(c, unicode) else _escape(c) for c in text)


def line(text: str, width: int = SENTENCE, *, unicode: bool = True) -> str:
    """One inert line; blanks, tabs and newlines become one blank, and what is cut is counted."""
    flat = " ".join(re.split(r"[ \t\r\n]+", text)).strip()
    more = len(flat) - width
    cut = f"{flat[:width]}... [{more:,} more characters]" if more > 0 else flat
    return visible(cut, unicode=unicode)


def code(text: str, *, unicode: bool = True) -> str:
    """Several inert lines as they are; newlines and tabs stay."""
    more = len(text) - COMMAND
    cut = f"{text[:COMMAND]}... [{more:,} more characters]" if more > 0 else text
    return visible(cut, keep="\n\t", unicode=unicode)


def markdown(text: str, width: int = SENTENCE) -> str:
    """Inline Markdown that renders as the text itself: no markup, HTML, link, mention or cell.

    A word that a renderer would turn into a link or a formula (address, URL, @name, #123, $1)
    becomes inline code, which no renderer looks into. Safe in table cells too.
    """
    words = " ".join(map(_word, line(text, width).split(" ")))
    return _BLOCK.sub(r"\1\\\2", words)


def span(text: str, width: int = SENTENCE) -> str:
    """Inline code with enough backticks; pipes are kept outside of it, for table cells."""
    return "&#124;".join(map(_span, line(text, width).split("|")))


def fence(text: str, language: str) -> str:
    """A fenced code block whose fence is longer than any run of backticks inside."""
    body = code(text)
    ticks = "`" * max(3, 1 + _longest_run(body))
    return f"{ticks}{re.sub(r'[^a-z0-9]', '', language.lower())[:20]}\n{body}\n{ticks}"


def html(text: str, width: int = SENTENCE) -> str:
    """One inert line for HTML, in text and in attributes alike."""
    return line(text, width).translate(_HTML)


def html_code(text: str) -> str:
    """Several inert lines for HTML as they are; newlines and tabs stay."""
    return code(text).translate(_HTML)


def _harmless(character: str, unicode: bool) -> bool:
    if not unicode and not character.isascii():
        return False
    return unicodedata.category(character) not in _HOSTILE


def _escape(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


_LINKED = re.compile(r"[@#]\w|://|www\.|\bGH-\d|\$", re.I)  # and $math$
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"})
_HTML = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "`": "&#96;"}
)
_MARKUP = re.compile(r"[\\`*\[\]~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_BLOCK = re.compile(r"^(\d*)([-+=#.)])")  # a list, a heading or a rule, if a line began with it


def _word(word: str) -> str:
    if _LINKED.search(word):
        return span(word)
    return _MARKUP.sub(lambda m: f"\\{m[0]}", word).translate(_ENTITIES)


def _span(text: str) -> str:
    if not text.strip():
        return text
    ticks = "`" * (1 + _longest_run(text))
    # A blank inside each end keeps backticks of the text apart from ours; renderers drop it.
    pad = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall(r"`+", text)), default=0)
