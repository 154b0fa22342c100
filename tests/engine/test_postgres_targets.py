"""URLs as ORMs write them."""

import pytest

from scaledoctor.errors import ScaledoctorError
from scaledoctor.targets import targets
from scaledoctor.targets.parameters import without_unknown

NOTE = "left out what PostgreSQL does not know: "


@pytest.mark.parametrize(
    ("query", "rest", "note"),
    [
        ("", "", ""),
        ("?sslmode=require", "?sslmode=require", ""),
        ("?pool_size=5&schema=public", "", NOTE + "pool_size, schema"),
        ("?schema=a&sslmode=require&schema=b", "?sslmode=require", NOTE + "schema"),
        ("?ssl=true", "?ssl=true", ""),
        ("?ssl=require", "", NOTE + "ssl"),
        ("?pgbouncer", "", NOTE + "pgbouncer"),
        ("?%70ool=5", "", NOTE + "a nameless part"),
        ("?x=b@db", "?x=b@db", ""),
        ("?password=a&b=c", "?password=a&b=c", ""),
    ],
)
def test_what_only_the_application_understands_is_left_out(
    query: str, rest: str, note: str
) -> None:
    """Its names are told, unless they may be a part of a password."""
    url = "postgresql://u:p@db/shop"
    assert without_unknown(url + query) == (url + rest, note)


def test_an_environments_url_is_read_and_its_note_is_kept() -> None:
    """For people, on stderr."""
    _, found = targets({}, {"DATABASE_URL": "postgres://u:p@db/shop?schema=public"})
    assert found.dsn == "postgresql://u:p@db/shop"
    assert found.note == f"DATABASE_URL: {NOTE}schema"


def test_a_url_that_was_given_is_refused_with_the_name() -> None:
    """Whoever typed it can mend it."""
    with pytest.raises(ScaledoctorError) as refused:
        targets({"dsn": ["postgresql://u:p@db/shop?schema=public"]}, {})
    assert "no connection parameter 'schema'" in str(refused.value)
