"""Templates: what is a literal goes, what is a name stays, and the caches change nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaledoctor.logs.sql.comments import cut
from scaledoctor.logs.sql.templates import Templates, template


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT * FROM t WHERE id = 7", "SELECT * FROM t WHERE id = ?"),
        ("SELECT * FROM t WHERE id = $1", "SELECT * FROM t WHERE id = ?"),
        ("SELECT a0, b1.c2 FROM t3 b1", "SELECT a0, b1.c2 FROM t3 b1"),
        ("SELECT 'it''s', E'a\\'b', 1.5e3", "SELECT ?, ?, ?"),
        ("SELECT $$a'b$$, $tag$c$tag$", "SELECT ?, ?"),
        ('SELECT "col 7" FROM "T8"', 'SELECT "col 7" FROM "T8"'),
        ("SELECT 1 -- it's\nFROM t", "SELECT ? FROM t"),
        ("SELECT /* 'x' */ 1", "SELECT ?"),
        ("UPDATE t SET n = n + -5 WHERE x=-3", "UPDATE t SET n = n + ? WHERE x=?"),
        ("SELECT * FROM t WHERE id IN (1, 2,3)", "SELECT * FROM t WHERE id IN (?+)"),
        ("INSERT INTO t VALUES (1, 'a'), (2, 'b')", "INSERT INTO t VALUES (?+)"),
        ("SELECT\n\t  1;", "SELECT ?"),
        ("SELECT x::numeric(10,2)", "SELECT x::numeric(?,?)"),
    ],
)
def test_literals_go(text: str, expected: str) -> None:
    assert template(text.encode()) == expected.encode()
    table = Templates()
    assert table.names[table.number(text.encode())] == expected.encode()


WORDS = st.sampled_from(
    ["SELECT", "x", "t1", '"A"', '"b 2"', "=", "-", "+", "(", ")", ",", "IN", "VALUES", "1", "23",
     "4.5", "$1", "$2", "'a'", "'it''s'", "''", "E'x\\'y'", "$$q'q$$", "-- c\n", "/* c */", "null"]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(WORDS, min_size=1, max_size=8).map(" ".join), min_size=1, max_size=8))
def test_caches_change_nothing(texts: list[str]) -> None:
    table = Templates()
    for text in texts * 2:
        assert table.names[table.number(text.encode())] == template(text.encode())


def test_a_comment_names_request_and_route() -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    text, tag, request = cut(
        b"SELECT 1 /*action='show',controller='books',"
        b"traceparent='00-%s-00f067aa0ba902b7-01'*/;" % trace.encode()
    )
    assert (text, tag, request) == (b"SELECT 1", b"books#show", trace.encode())
    assert cut(b"/* route:%2Fbooks,request_id=ab12 */ SELECT 2")[1:] == (b"/books", b"ab12")
    assert cut(b"SELECT '/* no comment */'") == (b"SELECT '/* no comment */'", b"", b"")
