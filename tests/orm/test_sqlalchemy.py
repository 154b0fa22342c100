"""SQLAlchemy on a real PostgreSQL: lazy relationships are found, eager ones are quiet."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, ForeignKey, create_engine, func, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
)

from scaledoctor.sql.look_ups import Relation
from tests.orm.library import AUTHORS, BOOKS, Library, unhurried

pytestmark = pytest.mark.live


class Base(DeclarativeBase):
    """What all models share."""


class Author(Base):
    """A row of a list."""

    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    books: Mapped[list["Book"]] = relationship(back_populates="author")


class Book(Base):
    """A row that belongs to it."""

    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    title: Mapped[str]
    author: Mapped[Author] = relationship(back_populates="books")


@pytest.fixture
def engine(library: Library) -> Iterator[Engine]:
    """A pool of connections, as a web server holds one."""
    # PgBouncer before 1.21 knows no prepared statements.
    prepare = {"prepare_threshold": None} if library.pooled else {}
    found = create_engine(library.url("postgresql+psycopg", "web"), connect_args=prepare)
    yield found
    found.dispose()


def rows(library: Library, batched: str) -> list[tuple[Any, ...]]:
    """What the one statement instead gives for all authors."""
    with psycopg.connect(library.server.dsn()) as connection:
        statement = batched.replace("$1", "%s").encode()
        return sorted(connection.execute(statement, (list(range(1, AUTHORS + 1)),)).fetchall())


def lazy(engine: Engine) -> None:
    """Each author's books by themselves."""
    with Session(engine) as session:
        for author in session.scalars(select(Author)):
            assert len(author.books) == BOOKS


@unhurried
def test_lazy_children(library: Library, engine: Engine) -> None:
    """A transaction is a request: certain behind a pooler too."""
    with library.logged():
        for _ in range(3):
            lazy(engine)
    one = library.only
    assert (one.table, one.column, one.parent_table) == ("book", "author_id", "author")
    assert (one.requests, one.median, one.p95, one.calls) == (3, AUTHORS, AUTHORS, 3 * AUTHORS)
    assert one.relation is Relation.HAS_MANY
    assert one.sure
    assert len(rows(library, one.batched)) == AUTHORS * BOOKS
    assert library.told.statements == 3 * (AUTHORS + 1)


@unhurried
def test_lazy_parents(library: Library, engine: Engine) -> None:
    """Each book's author: asked once per author, as the session knows it then."""
    with library.logged(), Session(engine) as session:
        assert all(book.author.name for book in session.scalars(select(Book)))
    assert (library.only.table, library.only.column, library.only.calls) == (
        "author", "id", AUTHORS,
    )  # fmt: skip
    assert library.only.relation is Relation.BELONGS_TO


@unhurried
def test_counts_for_each(library: Library, engine: Engine) -> None:
    """len() by SQL, once per row."""
    with library.logged(), Session(engine) as session:
        for author in session.scalars(select(Author)).all():
            asked = select(func.count(Book.id)).where(Book.author_id == author.id)
            assert session.scalar(asked) == BOOKS
    assert (library.only.relation, library.only.calls) == (Relation.COUNT, AUTHORS)
    assert rows(library, library.only.batched) == [(n, BOOKS) for n in range(1, AUTHORS + 1)]


def test_eager_loading_is_quiet(library: Library, engine: Engine) -> None:
    """selectinload and joinedload, request after request."""
    with library.logged(), Session(engine) as session:
        for _ in range(10):
            for load in (selectinload, joinedload):
                found = session.scalars(select(Author).options(load(Author.books)))
                assert all(len(a.books) == BOOKS for a in found.unique())
            session.expunge_all()
            session.commit()
    assert not library.told.found


def test_pages_and_keysets_are_quiet(library: Library, engine: Engine) -> None:
    """OFFSET, and keys by >."""
    with library.logged(), Session(engine) as session:
        for number in range(0, AUTHORS * BOOKS, 6):
            session.scalars(select(Book).order_by(Book.id).limit(6).offset(number)).all()
            session.scalars(select(Book).where(Book.id > number).order_by(Book.id).limit(6)).all()
    assert not library.told.found


@pytest.mark.slow
@unhurried
def test_many_clients_at_once(library: Library, engine: Engine) -> None:
    """Six threads: on two servers behind the pooler, mixed statement by statement."""
    with library.logged(), ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: lazy(engine), range(60)))
    one = library.only
    assert (one.requests, one.median, one.most, one.sure) == (60, AUTHORS, AUTHORS, True)
