"""The only commands that we send: they read, and what they read is bounded."""

from collections.abc import Callable, Mapping, Sequence

Command = Sequence[str | bytes | int | float]
"""A command's name and its arguments."""

MOST = 1_000
"""Elements that one command may ask for: a reply of some 100 kB, well below a millisecond."""

FAMILIES = ("CLIENT", "CLUSTER", "CONFIG", "LATENCY", "MEMORY", "SENTINEL", "SLOWLOG", "XINFO")
"""Commands whose second word says what they do."""

SETTINGS = (
    "appendfsync",
    "appendonly",
    "save",
    "stop-writes-on-bgsave-error",
    "timeout",
)
"""The settings that may be read: none of them is a secret, and a pattern would find more."""


def _number(value: str | bytes | int | float) -> int:
    return int(value.decode() if isinstance(value, bytes) else value)


def _counted(command: Command) -> bool:
    """Has ``COUNT n`` with a small n: the SCAN family and XRANGE."""
    words = [w.upper() if isinstance(w, str) else w for w in command]
    return "COUNT" in words and 0 < _number(words[words.index("COUNT") + 1]) <= MOST


def _from_the_head(command: Command) -> bool:
    """Indexes from 0 on: both ends known, and the end near."""
    first, last = _number(command[2]), _number(command[3])
    return 0 <= first <= last < first + MOST


def _short_search(command: Command) -> bool:
    return "MAXLEN" in command and 0 < _number(command[command.index("MAXLEN") + 1]) <= MOST


def _at_an_end(command: Command) -> bool:
    return _number(command[2]) in (0, -1)


def _few_pending(command: Command) -> bool:
    """The summary, or the extended form, whose last word is a count."""
    return len(command) == 3 or 0 < _number(command[-1]) <= MOST


def _few_fields(command: Command) -> bool:
    return len(command) <= MOST


def _short_log(command: Command) -> bool:
    return len(command) == 3 and 0 < _number(command[2]) <= 128


def _few_samples(command: Command) -> bool:
    """Looks at a few elements; 0 would mean all of them."""
    return len(command) == 5 and command[3] == "SAMPLES" and 0 < _number(command[4]) <= 5


def _harmless_setting(command: Command) -> bool:
    return len(command) == 3 and command[2] in SETTINGS


def _free(command: Command) -> bool:
    return True


ALLOWED: Mapping[str, Callable[[Command], bool]] = {
    "CLIENT LIST": _free,  # the caller looks at the number of clients first
    "CLIENT SETNAME": _free,  # names our own connection
    "CLUSTER SLOTS": _free,
    "CONFIG GET": _harmless_setting,
    "EXISTS": _few_fields,
    "GETRANGE": _from_the_head,
    "HGET": _free,
    "HLEN": _free,
    "HMGET": _few_fields,
    "HSTRLEN": _free,
    "INFO": _free,
    "LATENCY LATEST": _free,
    "LINDEX": _at_an_end,
    "LLEN": _free,
    "LPOS": _short_search,
    "LRANGE": _from_the_head,
    "MEMORY USAGE": _few_samples,
    "PING": _free,
    "PSUBSCRIBE": _free,
    "SCAN": _counted,
    "SCARD": _free,
    "SELECT": _free,  # of our own connection
    "SENTINEL GET-MASTER-ADDR-BY-NAME": _free,
    "SISMEMBER": _free,
    "SLOWLOG GET": _short_log,
    "SSCAN": _counted,
    "TTL": _free,
    "TYPE": _free,
    "XINFO CONSUMERS": _free,
    "XINFO GROUPS": _free,
    "XINFO STREAM": lambda command: len(command) == 3,  # FULL would list every entry
    "XLEN": _free,
    "XPENDING": _few_pending,
    "XRANGE": _counted,
    "ZCARD": _free,
    "ZCOUNT": _free,
    "ZRANGE": _from_the_head,
    "ZREVRANGE": _from_the_head,
}
"""Every command's name, and the test that its arguments must pass."""


def name_of(command: Command) -> str:
    """The command's name in capitals, with its second word where that is part of it."""
    first = str(command[0]).upper()
    return f"{first} {str(command[1]).upper()}" if first in FAMILIES else first


def require_allowed(command: Command) -> None:
    """Refuse whatever is not on the list: a defect of ours never reaches a server.

    Raises:
        ValueError: the command may write, or may ask for too much.

    """
    name = name_of(command)
    if name not in ALLOWED:
        raise ValueError(f"{name} is not on the list of commands that only read")
    if not ALLOWED[name](command):
        raise ValueError(f"{name} must say how much it reads, at most {MOST}")
