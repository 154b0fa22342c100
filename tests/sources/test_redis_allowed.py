"""The list of commands that only read is kept in code, not in good intentions."""

import re

import pytest

from scaledoctor.sources.redis._allowed import ALLOWED, Command, require_allowed

FORBIDDEN = re.findall(
    r"\w+",
    """
    APPEND BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN COPY DEL EXPIRE FLUSHALL
    FLUSHDB GETDEL GETEX GETSET HDEL HINCRBY HSET INCR LMOVE LMPOP LPOP LPUSH LREM LSET LTRIM
    MIGRATE MOVE MSET PERSIST RENAME RESTORE RPOP RPUSH SADD SET SORT SPOP SREM SWAPDB UNLINK XACK
    XADD XAUTOCLAIM XCLAIM XDEL XGROUP XREADGROUP XTRIM ZADD ZREM
    ACL BGREWRITEAOF BGSAVE CONFIG DEBUG EVAL EVALSHA EVAL_RO EXEC FAILOVER FCALL FUNCTION GET
    HGETALL HKEYS HVALS KEYS LATENCY MODULE MONITOR MULTI OBJECT PSYNC PUBLISH REPLICAOF SAVE
    SCRIPT SHUTDOWN SLAVEOF SMEMBERS SUBSCRIBE SYNC WATCH
    """,
)
"""What writes, what is dangerous or slow, and what reads values of any size."""


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_writes_or_reads_without_bounds_is_refused(name: str) -> None:
    """Whatever its arguments and however it is written."""
    for form in (name, name.lower()):
        with pytest.raises(ValueError, match="not on the list"):
            require_allowed((form, "key", 1, 2))


BOUNDED: dict[str, tuple[Command, Command]] = {
    "a part of a list": (("LRANGE", "k", 0, 99), ("LRANGE", "k", 0, -1)),
    "a thousand of a list": (("LRANGE", "k", 0, 999), ("LRANGE", "k", 0, 1000)),
    "a part of a sorted set": (("ZRANGE", "k", 0, 0), ("ZRANGE", "k", 0, -1)),
    "an end of a list": (("LINDEX", "k", -1), ("LINDEX", "k", 5000)),
    "names by the thousand": (("SCAN", 0, "COUNT", 1000), ("SCAN", 0, "COUNT", 100_000)),
    "members by the thousand": (("SSCAN", "k", 0, "COUNT", 10), ("SSCAN", "k", 0)),
    "a search of the end": (("LPOS", "k", "e", "MAXLEN", 1000), ("LPOS", "k", "e")),
    "a search that never ends": (("LPOS", "k", "e", "MAXLEN", 1), ("LPOS", "k", "e", "MAXLEN", 0)),
    "entries of a stream": (("XRANGE", "k", "-", "+", "COUNT", 5), ("XRANGE", "k", "-", "+")),
    "pending entries": (("XPENDING", "k", "g"), ("XPENDING", "k", "g", "-", "+", 100_000)),
    "a stream in short": (("XINFO", "STREAM", "k"), ("XINFO", "STREAM", "k", "FULL")),
    "some of the slow log": (("SLOWLOG", "GET", 64), ("SLOWLOG", "GET", 100_000)),
    "a size by a few elements": (
        ("MEMORY", "USAGE", "k", "SAMPLES", 5),
        ("MEMORY", "USAGE", "k", "SAMPLES", 0),
    ),
    "a harmless setting": (("CONFIG", "GET", "save"), ("CONFIG", "GET", "*")),
    "the start of a value": (("GETRANGE", "k", 0, 20), ("GETRANGE", "k", 0, -1)),
}


@pytest.mark.parametrize(("good", "bad"), BOUNDED.values(), ids=BOUNDED)
def test_every_reply_is_bounded(good: Command, bad: Command) -> None:
    """A command of the list says how much it wants, and that is little."""
    require_allowed(good)
    with pytest.raises(ValueError, match="how much"):
        require_allowed(bad)


def test_second_words_count() -> None:
    """CLIENT LIST is allowed, CLIENT KILL is not; CLUSTER SLOTS, not CLUSTER RESET."""
    require_allowed(("client", "list"))
    require_allowed(("CLUSTER", "SLOTS"))
    for command in (("CLIENT", "KILL", "ID", 1), ("CLIENT", "PAUSE", 9), ("CLUSTER", "RESET"),
                    ("SENTINEL", "FAILOVER", "m"), ("XINFO", "HELP"), ("CONFIG", "SET", "save", ""),
                    ("SLOWLOG", "RESET"), ("LATENCY", "RESET"), ("MEMORY", "PURGE")):  # fmt: skip
        with pytest.raises(ValueError, match="not on the list"):
            require_allowed(command)
    assert not {"KEYS", "SMEMBERS", "HGETALL"} & set(ALLOWED)
