"""Peewee on a real PostgreSQL, by psycopg 3."""

import time
from collections.abc import Iterator
from typing import Any

import peewee
import pytest

from scaledoctor.sql.look_ups import Relation
from tests.orm.library import AUTHORS, BOOKS, Library, unhurried

pytestmark = pytest.mark.live

DATABASE = peewee.DatabaseProxy()


class Author(peewee.Model):
    """A row of a list."""

    id = peewee.IntegerField(primary_key=True)
    name = peewee.TextField()
    books: Any

    class Meta:
        """Where it is."""

        database = DATABASE


class Book(peewee.Model):
    """A row that belongs to it."""

    id = peewee.IntegerField(primary_key=True)
    author = peewee.ForeignKeyField(Author, backref="books")
    title = peewee.TextField()

    class Meta:
        """Where it is."""

        database = DATABASE


@pytest.fixture
def database(library: Library) -> Iterator[Any]:
    """A connection."""
    found = peewee.PostgresqlDatabase(
        "postgres", host="127.0.0.1", port=library.port, user="postgres", prepare_threshold=None
    )
    DATABASE.initialize(found)
    with found.connection_context():
        yield found


@unhurried
def test_lazy_children(library: Library, database: Any) -> None:
    """A transaction is a request."""
    with library.logged():
        for _ in range(2):
            with database.atomic():
                for author in Author.select():
                    assert len(list(author.books)) == BOOKS
    one = library.only
    assert (one.table, one.column, one.parent_table) == ("book", "author_id", "author")
    assert (one.requests, one.median, one.sure) == (2, AUTHORS, True)
    assert one.relation is Relation.HAS_MANY


@unhurried
def test_lazy_parents_without_a_transaction(library: Library, database: Any) -> None:
    """Each book's author."""
    with library.logged():
        for book in Book.select():
            assert book.author.name
        time.sleep(0.3)
    assert (library.only.table, library.only.calls) == ("author", AUTHORS * BOOKS)
    assert library.only.relation is Relation.BELONGS_TO


def test_prefetch_and_joins_are_quiet(library: Library, database: Any) -> None:
    """prefetch() and select(Book, Author).join(Author), again and again."""
    with library.logged():
        for _ in range(8):
            found = peewee.prefetch(Author.select(), Book.select())
            assert all(len(a.books) == BOOKS for a in found)
            assert all(b.author.name for b in Book.select(Book, Author).join(Author))
    assert not library.told.found
