"""What a look-up asks for, how it is batched, and what each ORM calls it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaledoctor.logs.nplusone.idioms import idioms, orm
from scaledoctor.logs.nplusone.shapes import Role, numbered, shape
from scaledoctor.logs.nplusone.values import sample, shown, varying
from scaledoctor.sql import Predicate, equality_predicates
from scaledoctor.sql.look_ups import NONE, Relation, look_up, main_table, points_to
from scaledoctor.sql.safety import inspect


@pytest.mark.parametrize(
    ("sql", "relation", "batched"),
    [("SELECT * FROM customer WHERE id = $1", Relation.BELONGS_TO,
      "SELECT * FROM customer WHERE id = ANY($1)"),
     ('SELECT * FROM "author" WHERE "author"."id" = $1 LIMIT $2', Relation.BELONGS_TO,
      "SELECT * FROM author WHERE author.id = ANY($1)"),
     ("SELECT * FROM book WHERE $1::integer = book.author_id", Relation.HAS_MANY,
      "SELECT * FROM book WHERE book.author_id = ANY($1)"),
     ("SELECT * FROM book b JOIN shop s ON s.id = b.shop_id WHERE b.author_id IN ($1)",
      Relation.HAS_MANY,
      "SELECT * FROM book b JOIN shop s ON s.id = b.shop_id WHERE b.author_id = ANY($1)"),
     ("SELECT count(*) FROM book WHERE author_id = $1", Relation.COUNT,
      "SELECT author_id, count(*) FROM book WHERE author_id = ANY($1) GROUP BY author_id"),
     ("SELECT title FROM book b WHERE b.author_id = $1", Relation.HAS_MANY,
      "SELECT b.author_id, title FROM book b WHERE b.author_id = ANY($1)"),
     ("SELECT kind, count(*) FROM book WHERE author_id = $1 GROUP BY kind", Relation.HAS_MANY,
      "SELECT author_id, kind, count(*) FROM book WHERE author_id = ANY($1) "
      "GROUP BY kind, author_id"),
     ("SELECT * FROM book WHERE author_id = $1 ORDER BY id DESC LIMIT $2", Relation.HAS_MANY, ""),
     ("SELECT * FROM customer WHERE customer_id = $1", Relation.BELONGS_TO,
      "SELECT * FROM customer WHERE customer_id = ANY($1)"),
     ("SELECT * FROM book WHERE title = $1", Relation.UNKNOWN,
      "SELECT * FROM book WHERE title = ANY($1)")],
)  # fmt: skip
def test_a_look_up_and_its_batched_form(sql: str, relation: Relation, batched: str) -> None:
    """The batched form is one that PostgreSQL's grammar takes."""
    found = look_up(sql)
    assert (found.relation, found.batched) == (relation, batched)


def test_the_value_that_varies_is_the_one_to_batch() -> None:
    """WHERE shop_id = $1 AND author_id = $2."""
    found = look_up("SELECT * FROM book WHERE shop_id = $1 AND author_id = $2", 2)
    assert found.column == "author_id"
    assert found.batched.endswith("shop_id = $1 AND author_id = ANY($2)")


def test_the_first_row_of_a_key_is_its_only_one() -> None:
    """Prisma's look-up by a key has both LIMIT and OFFSET."""
    found = look_up("SELECT * FROM book WHERE id = $1 LIMIT $2 OFFSET $3")
    assert found.batched == "SELECT * FROM book WHERE id = ANY($1)"


@pytest.mark.parametrize(
    "sql",
    ["SELECT title FROM book WHERE author_id = $1 OFFSET $2",
     "SELECT DISTINCT ON (shop) title FROM book WHERE author_id = $1 ORDER BY shop",
     "SELECT title, row_number() OVER (ORDER BY id) FROM book WHERE author_id = $1",
     "SELECT rank() OVER w FROM book WHERE author_id = $1 WINDOW w AS (ORDER BY id)",
     "SELECT title FROM book WHERE author_id = $1 ORDER BY $2 DESC",
     "SELECT title FROM book WHERE author_id = $1 ORDER BY 1",
     "SELECT title, count(*) FROM book WHERE author_id = $1 GROUP BY $2"],
)  # fmt: skip
def test_what_would_mean_another_thing_for_all_is_not_batched(sql: str) -> None:
    """The first of each, the number of each, a column by its number."""
    found = look_up(sql)
    assert (found.table, found.column, found.batched) == ("book", "author_id", "")


@pytest.mark.parametrize(
    "sql",
    ["SELECT * FROM book WHERE id > $1", "SELECT * FROM book", "UPDATE book SET a = 1 WHERE id = 2",
     "SELECT * FROM", "SELECT 1; SELECT 2", ""],
)  # fmt: skip
def test_no_look_up(sql: str) -> None:
    """Nothing is made of what is none."""
    assert look_up(sql) == NONE


@pytest.mark.parametrize(
    ("statement", "name"),
    [('SELECT "book"."id", "book"."title" FROM "book" WHERE "book"."author_id" = $1', "Django"),
     ("SELECT book.id, book.title FROM book WHERE $1::INTEGER = book.author_id", "SQLAlchemy"),
     ("SELECT book.id AS book_id, book.title AS book_title FROM book", "SQLAlchemy"),
     ('SELECT "t1"."id", "t1"."title" FROM "book" AS "t1" WHERE ("t1"."author_id" = $1)', "Peewee"),
     ('SELECT "books".* FROM "books" WHERE "books"."author_id" = $1', "ActiveRecord"),
     ('SELECT "public"."Book"."id" FROM "public"."Book" WHERE "public"."Book"."id" = $1', "Prisma"),
     ('SELECT "id", "title" FROM "Books" AS "Book" WHERE "Book"."id" = $1', "Sequelize"),
     ("select b1_0.id,b1_0.title from book b1_0 where b1_0.author_id=$1", "Hibernate"),
     ("SELECT title FROM book WHERE author_id = $1", "")],
)  # fmt: skip
def test_the_orm_is_known_by_its_style(statement: str, name: str) -> None:
    """Its words come first."""
    assert orm(statement) == name
    lines = idioms(Relation.HAS_MANY, "authors", "books", "author_id", statement)
    assert len(lines) == 8
    assert not name or lines[0].startswith(f"{name}: ")


def test_models_are_guessed_from_tables() -> None:
    """Plural, prefix and all."""
    lines = idioms(Relation.BELONGS_TO, "shop_categories", "users", "id", "")
    assert lines[0] == 'Django: ShopCategory.objects.select_related("user")'
    assert idioms(Relation.UNKNOWN, "a", "b", "c", "") == ()


def test_names_say_what_belongs_together() -> None:
    """A look-up of customers is for a list that has customer_id."""
    asked = look_up("SELECT * FROM customers WHERE id = $1")
    assert points_to(asked, "SELECT id, customer_id FROM orders", "orders")
    assert points_to(asked, "SELECT o.* FROM orders o", "orders")
    assert not points_to(asked, "SELECT id FROM orders", "orders")
    assert not points_to(asked, "SELECT * FROM customers", "customers")
    assert main_table("WITH x AS (SELECT 1) SELECT * FROM a JOIN b ON true") == "a"


@pytest.mark.parametrize(
    ("name", "role"),
    [(b"BEGIN", Role.BEGIN), (b"START TRANSACTION READ ONLY", Role.BEGIN), (b"COMMIT", Role.END),
     (b"ROLLBACK", Role.END), (b"END", Role.END), (b"ROLLBACK TO SAVEPOINT a", Role.OTHER),
     (b"SAVEPOINT a", Role.OTHER), (b"DISCARD ALL", Role.POOL),
     (b"SET application_name=?", Role.POOL), (b"SET search_path = ?", Role.OTHER),
     (b"SELECT ?", Role.OTHER), (b"SELECT * FROM pg_catalog.pg_class", Role.OTHER),
     (b"SELECT * FROM pgbench_accounts", Role.READ), (b"SELECT * FROM a FOR UPDATE", Role.READ),
     (b"SELECT a FROM b WHERE c = ANY(?) AND d > ? - INTERVAL ?", Role.READ),
     (b"SELECT EXISTS (SELECT ? FROM a WHERE b = ?)", Role.READ),
     (b"INSERT INTO a SELECT * FROM b", Role.OTHER), (b"INSERT INTO a VALUES (?+)", Role.WRITE),
     (b"UPDATE a SET b = ?", Role.OTHER), (b"DELETE FROM a WHERE id = ?", Role.WRITE),
     (b"(other statements)", Role.OTHER), (b"\xff\xfe", Role.OTHER)],
)  # fmt: skip
def test_what_a_template_does(name: bytes, role: Role) -> None:
    """By the real grammar; by its first word where that cannot read it."""
    assert shape(name).role is role


def test_a_parent_gives_several_rows() -> None:
    """Aggregates without GROUP BY give one."""
    assert not shape(b"SELECT count(*), coalesce(max(a), ?) FROM b").many
    assert not shape(b"SELECT EXISTS (SELECT ? FROM a WHERE b = ?)").many
    assert shape(b"SELECT a FROM b UNION SELECT c FROM d").many
    assert shape(b"SELECT count(*) FROM b GROUP BY c").many
    assert shape(b"SELECT count(*) OVER () FROM b").many
    assert numbered(b"a = ? AND b IN (?+)") == "a = $1 AND b IN ($2)"


@pytest.mark.parametrize(
    ("text", "places"),
    [(b"SELECT * FROM a WHERE id = -5 LIMIT 21", "ep"),
     (b"SELECT * FROM a WHERE x IN (1) AND y IN (1, 2) AND z > 3", "ebbr"),
     (b"SELECT * FROM a WHERE b = E'\\'x' AND c BETWEEN 1 AND 2 OFFSET 3", "errp"),
     (b"SELECT * FROM a WHERE b = ANY('{1,2}') AND c = ANY('{1}')", "be"),
     (b"SELECT * FROM a WHERE lower(b) = lower('X') AND c <> 'y'", "er"),
     (b"SELECT 5, 'x' FROM a WHERE (b, c) = (1, 2)", "--ee"),
     (b"INSERT INTO a VALUES (1), (2)", "bb"),
     (b"SELECT * FROM a WHERE b = $$x$$ AND \"c1\" = 'it''s'", "ee"),
     (b"SELECT broken FROM WHERE 1", "-"), (b"\xff 5", "-")],
)  # fmt: skip
def test_where_a_value_stands(text: bytes, places: str) -> None:
    """Equality, range, page, batch, or elsewhere."""
    assert sample(text, b"").places == places


def test_values_of_parameters_are_those_of_the_detail() -> None:
    """An array of several values is a batch; unknown ones are told apart."""
    text = b"SELECT * FROM a WHERE b = ANY($1) AND c = $2"
    batch = sample(text, b"$1 = '{1,2}', $2 = NULL")
    one, other = sample(text, b"$1 = '{1}', $2 = 'x'"), sample(text, b"$1 = '{1}', $2 = 'y'")
    assert (batch.places, one.places, one.known) == ("be", "ee", True)
    assert varying([one, other]) == [1]
    assert not sample(text, b"").known
    assert varying([one, sample(b"SELECT 1", b"")]) is None


def test_a_thousand_values_are_a_batch() -> None:
    """Not looked at one by one."""
    text = b"SELECT * FROM a WHERE b IN (" + b",".join(b"%d" % n for n in range(1000)) + b")"
    assert sample(text, b"").places == "b"


DEEP = ["f(" * 300 + "1" + ")" * 300, "(SELECT " * 90 + "1" + ")" * 90, "1+" * 3000 + "1", "\0",
        "'" + "''" * 9000, "'" + "\\" * 9001, "-" * 9000, "(" * 9000, '"' * 9001]  # fmt: skip


@pytest.mark.parametrize("value", DEEP, ids=range(len(DEEP)))
def test_no_statement_is_too_strange(value: str) -> None:
    """Deep, cut or broken: less is known, and that is all."""
    sql = f"SELECT * FROM a WHERE b = {value}"
    sample(sql.encode(), b"")
    shape(sql.encode())
    assert look_up(sql).relation in Relation
    assert main_table(sql) in ("a", "")
    assert equality_predicates(sql) in ((), (Predicate("", "a", ("b",)),))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=60))
def test_no_bytes_are_too_strange(text: bytes, parameters: bytes) -> None:
    """Whatever a log holds."""
    sample(text, parameters)
    shown(text, parameters)
    shape(b"SELECT * FROM a WHERE b = " + text)
    look_up(text.decode(errors="replace"))


def test_what_stands_behind_a_nul_is_not_overlooked() -> None:
    """The grammar is a C library, for which a text ends there."""
    assert inspect("SELECT 1 FROM a").reasons == ()
    assert inspect("SELECT 1 FROM a \0; DROP TABLE a").reasons
    assert inspect(f"SELECT {'f(' * 300}1{')' * 300}").reasons
