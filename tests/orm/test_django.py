"""Django on a real PostgreSQL: autocommit, so that a session and its pauses tell requests."""

import importlib
import time
from typing import Any

import pytest

from scaledoctor.sql.look_ups import Relation
from tests.orm.django_setup import configure
from tests.orm.library import AUTHORS, BOOKS, Library, unhurried

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def models(direct: Library, behind_pool: Library, named_pool: Library) -> Any:
    """The models, once Django knows its databases."""
    configure(direct, behind_pool, named_pool)
    return importlib.import_module("tests.orm.django_models")


def lazy(models: Any, database: str) -> None:
    """Each author's books by themselves."""
    for author in models.Author.objects.using(database):
        assert len(author.book_set.all()) == BOOKS


@pytest.mark.parametrize("database", ["direct", "pooled"])
@unhurried
def test_lazy_children(models: Any, direct: Library, database: str) -> None:
    """Two requests with a pause between them."""
    with direct.logged():
        for _ in range(2):
            lazy(models, database)
            time.sleep(0.3)
    one = direct.only
    assert (one.table, one.column, one.parent_table) == ("book", "author_id", "author")
    assert (one.requests, one.median, one.most) == (2, AUTHORS, AUTHORS)
    assert one.relation is Relation.HAS_MANY


@unhurried
def test_requests_without_a_pause(models: Any, direct: Library) -> None:
    """A busy worker: the lists tell how many there were."""
    with direct.logged():
        for _ in range(5):
            lazy(models, "direct")
    assert (direct.only.requests, direct.only.median) == (5, AUTHORS)


@unhurried
def test_the_pooler_names_the_client(models: Any, direct: Library) -> None:
    """application_name_add_host: one client's connection, for certain."""
    with direct.logged():
        lazy(models, "named")
    assert (direct.only.median, direct.only.sure) == (AUTHORS, True)


@unhurried
def test_lazy_parents_and_counts(models: Any, direct: Library) -> None:
    """Each book's author, asked again for each book; and a count for each author."""
    with direct.logged():
        assert all(b.author.name for b in models.Book.objects.using("direct"))
        time.sleep(0.3)
        for author in models.Author.objects.using("direct"):
            assert author.book_set.count() == BOOKS
    assert len(direct.told.found) == 2
    author, count = direct.told.found
    if author.relation is Relation.COUNT:
        author, count = count, author
    assert (author.relation, author.calls) == (Relation.BELONGS_TO, AUTHORS * BOOKS)
    assert "LIMIT" not in author.batched
    assert (count.relation, count.calls) == (Relation.COUNT, AUTHORS)


@unhurried
def test_values_and_code_are_shown_only_where_allowed(models: Any, direct: Library) -> None:
    """The library's log is read with literals."""
    with direct.logged():
        lazy(models, "direct")
    assert len(direct.only.examples) == 3


@pytest.mark.parametrize("database", ["direct", "pooled"])
def test_what_only_looks_like_it(models: Any, direct: Library, database: str) -> None:
    """Eager loading, batches, pages, keys, bulk writes and requests of one look-up each."""
    authors = models.Author.objects.using(database)
    books = models.Book.objects.using(database)
    with direct.logged():
        for _ in range(8):
            list(authors.prefetch_related("book_set"))
            list(books.select_related("author"))
        for number in range(0, AUTHORS * BOOKS, 6):
            list(books.order_by("id")[number : number + 6])
            list(books.filter(id__gt=number).order_by("id")[:6])
            list(books.filter(id__in=range(number, number + 6)))
        list(books.iterator(chunk_size=5))
        time.sleep(0.3)
        for number in range(1, AUTHORS):
            authors.get(id=number)
            books.filter(author_id=number).count()
    assert not direct.told.found
