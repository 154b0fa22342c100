"""A process's name for people: never an argument that may hold a secret."""

from collections.abc import Sequence
from pathlib import Path

INTERPRETERS = ("python", "ruby", "perl", "node", "java", "php", "bash", "sh")

WITH_VALUE = ("-X", "-W", "-cp", "-classpath", "--class-path", "-r", "--require", "-O", "-I")
"""Options of interpreters whose value is the next word."""


def label(name: str, arguments: Sequence[str]) -> str:
    """Return the name, for interpreters with the script, module or jar and nothing else.

    ``name`` is the kernel's (15 characters), ``arguments`` the command line.
    """
    if name.startswith("postgres") or arguments[0].startswith("postgres: "):
        return "postgres"
    if not name.rstrip("0123456789.").endswith(INTERPRETERS):
        return name
    words = iter([word for word in arguments[1:] if word])
    for word in words:
        if word in ("-m", "-jar"):
            return f"{name} {word} {_base(next(words, ''))}".strip()
        if word in ("-c", "-e", "-lc"):
            return f"{name} {word}"
        if word in WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return f"{name} {_base(word)}"
    return name


def _base(word: str) -> str:
    """The last part of a path; nothing of a URL or an assignment."""
    return "" if "://" in word or "=" in word else Path(word).name[:40]
