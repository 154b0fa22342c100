"""Routes: what differs from request to request goes, and so does whatever is hostile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaledoctor.logs.access.crowd import CROWD, RARE, crowded
from scaledoctor.logs.access.routes import path_of, route


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        ("GET /", "GET /"),
        ("GET /orders/4711/items?token=s3cret", "GET /orders/:id/items"),
        ("GET /orders/4711;jsessionid=ABC", "GET /orders/:id"),
        ("GET /api/v1/users/12/cart", "GET /api/v1/users/:id/cart"),
        ("GET /s3/x", "GET /s3/x"),
        ("GET /static/app.3f2a9b1c.js", "GET /static/app.:id.js"),
        ("GET /u/550e8400-e29b-41d4-a716-446655440000", "GET /u/:id"),
        ("POST /report-2024-05.pdf", "POST /report-:id.pdf"),
        ("GET /2024-05-01/x", "GET /:id/x"),
        ("GET /item-7/8_9.png", "GET /item-:id/:id.png"),
        ("GET /dead/beef/decade", "GET /dead/beef/decade"),
        ("GET /reset/eyJhbGciOiJIUzI1NiJ9abcDEF1234", "GET /reset/:id"),
        ("GET /reset/aQwErTyUiOpAsDfG", "GET /reset/:id"),
        ("GET /getCustomerOrderHistory", "GET /getCustomerOrderHistory"),
        ("GET /products/blue-widget-with-a-name", "GET /products/blue-widget-with-a-name"),
        ("GET /users/me@example.org", "GET /users/:id"),
        ("GET /users/me%40example.org", "GET /users/:id"),
        ("GET /x/\x1b[31mred", "GET /x/:id"),
        ("GET /x/<script>", "GET /x/:id"),
        ("GET /größe", "GET /:id"),
        ("GET /a/b/c/d/e/f/g/h", "GET /a/b/c/d/e/f/..."),
        ("GET //x/", "GET //x/"),
        ("GET http://shop.example:80/a/7", "GET /a/:id"),
        ("OPTIONS *", "OPTIONS *"),
        ("CONNECT db.example:443", "CONNECT :id"),
        ("\x16\x03\x01", "(no request)"),
        ("", "(no request)"),
        ("GET", "(no request)"),
    ],
)
def test_route(request_: str, name: str) -> None:
    assert route(request_.encode()) == name


@given(st.binary(max_size=200))
def test_whatever_comes_a_route_is_short_printable_ascii(data: bytes) -> None:
    for text in (route(data), route(b"GET /" + data)):
        assert text.isascii()
        assert text.isprintable()
        assert len(text) < 400
        assert "?" not in text


def test_the_path_of_a_url_has_no_host_and_no_secret() -> None:
    assert path_of("https://me:secret@shop.example/orders/7?key=1") == "/orders/:id"
    assert path_of("https://shop.example") == "/"


def test_many_rare_names_are_one_route() -> None:
    names = {f"GET /products/name{chr(97 + i % 26)}{chr(97 + i // 26)}/buy": 1 for i in range(60)}
    found = crowded({**names, "GET /products/sale/buy": RARE + 1, "GET /about": 1})
    assert set(found) == {"GET /products/:name/buy"}
    assert sorted(found["GET /products/:name/buy"]) == sorted(names)


@pytest.mark.parametrize(("count", "groups"), [(CROWD - 1, 0), (CROWD, 1)])
def test_some_rare_names_stay_as_they_are(count: int, groups: int) -> None:
    assert len(crowded({f"GET /{'x' * i}y": RARE for i in range(count)})) == groups


def test_names_that_are_asked_often_are_routes() -> None:
    """An interface of sixty functions is no crowd."""
    assert not crowded({f"GET /api/{'x' * i}y": RARE + 1 for i in range(60)})
