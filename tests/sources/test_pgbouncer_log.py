"""PgBouncer's log: what is counted, and what it says of whom."""

import pytest

from scaledoctor.sdk import Redactor
from scaledoctor.sources.pgbouncer import LogEntry, PoolerLog
from scaledoctor.sources.pgbouncer.log import MOST_ENTRIES, entries, recent

STAMP = "2026-11-25 10:14:05.673 UTC [27911]"
CLIENT, SERVER = "C-0x55f72d9afca0", "S-0x55f72d9b7120"


def log(*lines: str) -> tuple[LogEntry, ...]:
    return entries([f"{STAMP} {line}" for line in lines], Redactor())


def test_a_refusal_is_counted_once_and_belongs_to_no_pool() -> None:
    """Each is written twice: as the reason for closing and as an error."""
    words = "no more connections allowed (max_client_conn)"
    found = log(
        f"LOG {CLIENT}: (nodb)/(nouser)@127.0.0.1:3394 closing because: {words} (age=0s)",
        f"WARNING {CLIENT}: (nodb)/(nouser)@127.0.0.1:3394 pooler error: {words}",
        f"WARNING {CLIENT}: (nodb)/(nouser)@unix(77):6432 pooler error: {words}",
    )
    assert found == (LogEntry("refused", "", "", 2, words),)
    assert PoolerLog(found).count("refused") == 2


def test_a_failed_login_gets_the_servers_words() -> None:
    """They stand on the line before, without the pool's name."""
    found = log(
        'WARNING server login failed: FATAL password authentication failed for user "web"',
        f"LOG {SERVER}: shop/web@10.0.0.1:5432 closing because: login failed (age=0s)",
        f"LOG {SERVER}: shop/api@10.0.0.1:5432 closing because: connect failed (age=0s)",
    )
    log_ = PoolerLog(found)
    assert log_.why("shop/web", "login") == (
        'server login failed: password authentication failed for user "web"'
    )
    assert log_.why("shop/api", "login") == "connect failed"
    assert log_.why("shop/nobody", "login") == ""
    assert log_.count("login") == 2


@pytest.mark.parametrize(
    "line", ["WARNING server login failed: FATAL %s", "ERROR S: login failed: FATAL: %s"]
)
def test_slots_are_told_from_other_logins_by_the_servers_words(line: str) -> None:
    """PostgreSQL had none left: no matter of routes or passwords; 1.18 writes the second form."""
    found = log(
        line % "remaining connection slots are reserved",
        f"LOG {SERVER}: shop/web@10.0.0.1:5432 closing because: login failed (age=0s)",
        f"WARNING {CLIENT}: shop/web@10.0.0.7:1 pooler error: server login has been failing, "
        "cached error: FATAL: sorry, too many clients already (server_login_retry)",
    )
    assert {e.kind for e in found} == {"slots"}
    assert PoolerLog(found).why("shop/web", "slots")


def test_the_other_kinds() -> None:
    """A wait that was ended, a lost statement, a name lookup; what is ordinary is left alone."""
    found = log(
        f"WARNING {CLIENT}: shop/web@10.0.0.7:1 pooler error: query_wait_timeout",
        f"WARNING {CLIENT}: shop/web@10.0.0.7:1 pooler error: prepared statement did not exist",
        f"LOG {SERVER}: shop/web@db:5432 closing because: server DNS lookup failed (age=0s)",
        f"LOG {CLIENT}: shop/web@10.0.0.7:1 closing because: client close request (age=9s)",
        f"LOG {SERVER}: shop/web@db:5432 closing because: server lifetime over (age=3600s)",
        "LOG stats: 16 xacts/s, 16 queries/s, in 1 B/s, out 1 B/s, wait 1 us",
        "a line that is no line of PgBouncer's",
    )  # fmt: skip
    assert sorted(e.kind for e in found) == ["login", "prepared", "wait-timeout"]


def test_the_log_is_bounded_and_redacted() -> None:
    """Thousands of users, and a secret in a message."""
    many = [
        f"WARNING {CLIENT}: shop/u{i}@10.0.0.7:1 pooler error: query_wait_timeout"
        for i in range(2000)
    ]
    assert len(log(*many)) == MOST_ENTRIES
    (one,) = log(
        "WARNING server login failed: FATAL password=hunter2 " + "x" * 500,
        f"LOG {SERVER}: shop/web@10.0.0.1:5432 closing because: login failed (age=0s)",
    )
    assert "hunter2" not in one.words
    assert len(one.words) <= 200


def test_of_what_was_written_before_only_the_last_minute_counts() -> None:
    """By the lines' own times; a line without one is none."""
    lines = [f"2026-11-25 {at}.123 UTC [1] x" for at in ("09:59:59", "10:00:00", "10:01:00")]
    assert recent(["half of a line", *lines]) == lines[1:]
    assert recent(["half of a line"]) == []
