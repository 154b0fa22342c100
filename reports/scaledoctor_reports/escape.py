"""Text from outside made inert, for each kind of output."""

import re
import unicodedata

# Controls (C0, C1, DEL), bidirectional overrides and isolates, zero-width and other format
# characters, line and paragraph separators, surrogates: none may reach a terminal or a page raw.
_HOSTILE = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs", "Co"})


def visible(text: str, keep: str = "") -> str:
    """Show every control or invisible character as an escape, but for those in ``keep``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c in keep or unicodedata.category(c) not in _HOSTILE else _escape(c) for c in text
    )


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def line(text: str, width: int = 4000) -> str:
    """One inert line of at most ``width`` characters; newlines and tabs become blanks."""
    flat = visible(" ".join(text.split()))
    return flat if len(flat) <= width else flat[: width - 3] + "..."


def code(text: str) -> str:
    """Several inert lines; newlines and tabs stay."""
    return visible(text, keep="\n\t")


_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~<>&$@:])")


def markdown(text: str, width: int = 1000) -> str:
    """Inline Markdown that renders as the text itself: no markup, HTML, link, mention or table."""
    flat = line(text, width)
    return _MARKDOWN.sub(lambda m: f"&#{ord(m[1])};", flat).replace("www.", "www&#46;")


def fence(text: str, language: str) -> str:
    """A fenced code block whose fence is longer than any run of backticks inside."""
    runs = [len(run) for run in re.findall(r"`+", text)]
    ticks = "`" * max(3, 1 + max(runs, default=0))
    return f"{ticks}{language}\n{code(text)}\n{ticks}"
