"""Logs of applications: those of Python from the real libraries, the others as documented."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaledoctor.logs.sql.apps import APPS
from scaledoctor.logs.sql.chunks import analyze_chunk
from scaledoctor.logs.sql.entry import Coverage, Entry, Layout
from scaledoctor.logs.sql.partial import Partial
from scaledoctor.logs.sql.recognise import format_of, recognise

LOGGING = """
import logging, sys
handler = logging.StreamHandler(open(sys.argv[1], "w"))
handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
def listen(name):
    logging.getLogger(name).setLevel("DEBUG")
    logging.getLogger(name).addHandler(handler)
    logging.getLogger(name).debug("something else")
"""
DJANGO = """
import django
from django.conf import settings
engine = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
settings.configure(DEBUG=True, DATABASES={"default": engine})
django.setup()
listen("django.db.backends")
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("CREATE TABLE book (id int, name text)")
    for number in range(12):
        sql = "SELECT name FROM book WHERE id = %s AND name <> %s"
        cursor.execute(sql, [number, "it's\\n(0.001) odd"])
"""
SQLALCHEMY = """
import sqlalchemy
listen("sqlalchemy.engine")
with sqlalchemy.create_engine("sqlite://").begin() as database:
    database.execute(sqlalchemy.text("CREATE TABLE book (id int, name text)"))
    for number in range(12):
        sql = "SELECT name\\nFROM book\\nWHERE id = :id AND name <> :name"
        database.execute(sqlalchemy.text(sql), {"id": number, "name": "it's"})
"""
PEEWEE = """
import peewee
listen("peewee")
database = peewee.SqliteDatabase(":memory:")
database.execute_sql("CREATE TABLE book (id int, name text)")
for number in range(12):
    database.execute_sql("SELECT name FROM book WHERE id = ? AND name <> ?", (number, "it's"))
"""
SCRIPTS = {"django.db.backends": DJANGO, "SQLAlchemy echo": SQLALCHEMY, "Peewee": PEEWEE}
MODULES = {"django.db.backends": "django", "SQLAlchemy echo": "sqlalchemy", "Peewee": "peewee"}


def entries(data: bytes) -> tuple[Layout, list[Entry]]:
    layout = recognise(data.splitlines())
    return layout, list(format_of(layout).entries(data, Coverage()))


def told(data: bytes) -> Partial:
    total = Partial(whole=True)
    total.merge(analyze_chunk(data, recognise(data.splitlines())))
    total.finish()
    return total


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_the_library_itself_writes(name: str, tmp_path: Path) -> None:
    pytest.importorskip(MODULES[name])
    path = tmp_path / "app.log"
    command = [sys.executable, "-c", LOGGING + SCRIPTS[name], str(path)]
    subprocess.run(command, check=True, capture_output=True)
    data = path.read_bytes()
    layout, found = entries(data)
    assert layout.name == name
    total = told(data)
    assert total.statements["SELECT name FROM book WHERE id = ? AND name <> ?"].count == 12
    assert total.statements["CREATE TABLE book (id int, name text)"].count == 1
    assert total.unread == 0
    assert found[-1].when > 1_700_000_000
    if name != "django.db.backends":
        selects = [entry for entry in found if b"SELECT" in entry.message]
        assert selects[3].detail == b"parameters: $1 = '3', $2 = 'it''s'"


RAILS = """\
[2f1a4c1e-0a5b-4c3d-9e8f-001122334455] Started GET "/books" for 127.0.0.1
[2f1a4c1e-0a5b-4c3d-9e8f-001122334455]   \x1b[1m\x1b[36mBook Load (1.3ms)\x1b[0m  \
\x1b[1m\x1b[34mSELECT "books".* FROM "books"\x1b[0m
[2f1a4c1e-0a5b-4c3d-9e8f-001122334455]   Author Load (0.3ms)  SELECT "authors".* FROM "authors" \
WHERE "authors"."id" = $1 LIMIT $2  [["id", 9], ["LIMIT", 1]]
[2f1a4c1e-0a5b-4c3d-9e8f-001122334455]   ↳ app/views/books/index.html.erb:12
[2f1a4c1e-0a5b-4c3d-9e8f-001122334455]   CACHE Author Load (0.0ms)  SELECT "authors".* FROM \
"authors" WHERE "authors"."id" = $1 LIMIT $2  [["id", 9], ["LIMIT", 1]]
[2f1a4c1e-0a5b-4c3d-9e8f-001122334455]   TRANSACTION (0.1ms)  BEGIN
Completed 200 OK in 20ms (Views: 12.1ms | ActiveRecord: 1.7ms)
"""


def test_active_record() -> None:
    layout, found = entries(RAILS.encode())
    assert layout.name == "ActiveRecord"
    request = b" /*request_id='2f1a4c1e-0a5b-4c3d-9e8f-001122334455'*/"
    assert [entry.message for entry in found] == [
        b'duration: 1.300 ms  statement: SELECT "books".* FROM "books"' + request,
        b'duration: 0.300 ms  statement: SELECT "authors".* FROM "authors" '
        b'WHERE "authors"."id" = $1 LIMIT $2' + request,
        b"duration: 0.100 ms  statement: BEGIN" + request,
    ]
    assert found[1].detail == b"parameters: $1 = '9', $2 = '1'"
    assert found[1].line == b"app/views/books/index.html.erb:12"


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        (
            "Sequelize",
            "Executed (default): SELECT 1 FROM a WHERE id = 7; Elapsed time: 5ms",
            "duration: 5.000 ms  statement: SELECT 1 FROM a WHERE id = 7",
        ),
        ("Sequelize", "Executing (default): SELECT 1 FROM a;", "statement: SELECT 1 FROM a"),
        ("Prisma", "prisma:query SELECT 1 FROM a", "statement: SELECT 1 FROM a"),
        (
            "p6spy",
            "1700000000123|5|statement|connection 3|jdbc:x|select ? from a|select 7 from a",
            "duration: 5.000 ms  statement: select 7 from a",
        ),
        ("p6spy", "1700000000123|5|commit|connection 3|jdbc:x||",
         "duration: 5.000 ms  statement: COMMIT"),
        ("Hibernate", "Hibernate: select b1_0.id from book b1_0",
         "statement: select b1_0.id from book b1_0"),
        (
            "Hibernate",
            "2026-11-24 10:00:00.123 DEBUG 7 --- [main] org.hibernate.SQL : select 1 from a",
            "statement: select 1 from a",
        ),
    ],
)  # fmt: skip
def test_other_languages(name: str, line: str, message: str) -> None:
    layout, found = entries(f"{line}\n".encode() * 5)
    assert layout.name == name
    assert [entry.message.decode() for entry in found] == [message] * 5


def test_some_statements_among_much_else_are_found() -> None:
    noise = b"2026-11-24 10:00:00,123 INFO web GET /books 200\n" * 20
    statement = b"2026-11-24 10:00:00,123 DEBUG django.db.backends (0.008) SELECT 1; args=None\n"
    total = told((noise + statement) * 5)
    assert (total.calls, total.unread, total.statements["SELECT ?"].micros) == (5, 0, 40_000)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["(0.001) SELECT", "x sqlalchemy.engine.Engine ", "[generated in 0.1s] (1,",
             "('SELECT ", "Book Load (1.0ms)  ", "[[", "Executed (a): ", "prisma:query ", "\n", "'",
             "Hibernate: ", "1700000000123|5|statement|connection 3|", "org.hibernate.SQL",
             "  ↳ x", "\x1b[1m", "("]
        ) | st.text(max_size=10),
        max_size=40,
    ).map("".join)
)  # fmt: skip
def test_no_text_raises(text: str) -> None:
    data = text.encode("utf-8", "replace")
    for name in APPS:
        coverage = Coverage()
        list(format_of(Layout(name)).entries(data, coverage))
        assert coverage.unread == 0
