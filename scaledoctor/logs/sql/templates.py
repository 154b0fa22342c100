"""Statements without their literals: one template for all that differ in values alone."""

import re

OTHER = b"(other statements)"
"""What all further statements are once there are too many templates."""

MOST_TEMPLATES = 50_000
"""Templates that are told apart; beyond that the application puts values into names."""

_REMEMBERED = 20_000
_SHORT = 1 << 10

_TOKENS = re.compile(
    rb"""
      (?P<comment>/\*.*?(?:\*/|\Z)|--[^\n]*)
    | (?P<name>"(?:[^"]|"")*(?:"|\Z))
    | \b[eE]'(?:[^'\\]|''|\\.)*(?:'|\Z)
    | (?:\b[bBnNxX])?'(?:[^']|'')*(?:'|\Z)
    | \$(?P<tag>[A-Za-z_]\w*|)\$.*?(?:\$(?P=tag)\$|\Z)
    | \$\d+
    | (?<![\w$."])(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\b
    """,
    re.VERBOSE | re.DOTALL,
)
_LIST = rb"\( ?(?:[-+]?+ ?+\?(?: ?, ?)?+)++ ?\)"  # possessive, so that it takes linear time
_LISTS = re.compile(rb"\b(in|values) ?%s(?: ?, ?%s)*+" % (_LIST, _LIST), re.I)
_SIGN = re.compile(rb"([=(,<>+*/%|-] ?)[-+] ?\?")
_SPACE = re.compile(rb"\s+")
_CLASSES = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz0123456789", b"a" * 53 + b"0" * 10
)
_DIGITS = b"0123456789"
_TAGGED = re.compile(rb"\$(?!\d)")


def template(text: bytes) -> bytes:
    """The statement with ``?`` for every literal and parameter, and without comments.

    Lists of them are one, ``IN (?+)``, however long.
    """
    masked = _TOKENS.sub(_mask, text)
    flat = _SPACE.sub(b" ", masked).strip(b" ;")
    return _LISTS.sub(rb"\1 (?+)", _SIGN.sub(rb"\1?", flat))


def _mask(found: re.Match[bytes]) -> bytes:
    if found["name"] is not None:
        return found["name"]
    return b" " if found["comment"] is not None else b"?"


class Templates:
    """A table of templates with two caches before it.

    The first knows whole texts, as prepared statements repeat them. The second knows texts
    without digits and quoted strings, which is quick to make and tells as much apart as the
    template does. What could mislead it takes the long way: names with digits, and quotes
    within comments, names or other quotes.
    """

    __slots__ = ("_known", "_shapes", "_texts", "names")

    def __init__(self) -> None:
        self.names: list[bytes] = [OTHER]
        self._known: dict[bytes, int] = {}
        self._texts: dict[bytes, int] = {}
        self._shapes: dict[bytes, int] = {}

    def number(self, text: bytes) -> int:
        """The index in ``names`` of the template of a statement."""
        number = self._texts.get(text)
        if number is None:
            shape = _shape(text)
            number = self._shapes.get(shape) if shape is not None else None
            if number is None:
                number = self._number(template(text))
                if shape is not None and len(self._shapes) < _REMEMBERED:
                    self._shapes[shape] = number
            if len(text) < _SHORT and len(self._texts) < _REMEMBERED:
                self._texts[text] = number
        return number

    def _number(self, name: bytes) -> int:
        number = self._known.get(name)
        if number is None:
            if len(self.names) >= MOST_TEMPLATES:
                return 0
            number = self._known[name] = len(self.names)
            self.names.append(name)
        return number


def _shape(text: bytes) -> bytes | None:
    """The text without digits and quoted strings; None when that could join what differs."""
    if b"'" in text:
        if b"\\" in text or b"--" in text or b"/*" in text:
            return None
        parts = text.split(b"'")
        if len(parts) % 2 == 0:
            return None
        text = b"'".join(parts[::2])
        if text.count(b'"') % 2:
            return None
    elif b"--" in text or b"/*" in text:
        return None
    if b"a0" in text.translate(_CLASSES) or (b"$" in text and _TAGGED.search(text)):
        return None
    return text.translate(None, _DIGITS)
