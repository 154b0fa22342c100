"""Names and sizes of the shop."""

import re
from dataclasses import asdict, fields

import pytest

from scaledoctor.demo.shop import Names

IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")
# Reserved words that a shop could stumble upon; SQL would want quotes around them.
RESERVED = {"order", "user", "table", "group", "check", "column", "default", "limit", "end"}


def identifiers(names: Names) -> dict[str, str]:
    """All fields that stand unquoted in SQL."""
    sql = {f.name for f in fields(Names) if f.type is str and not f.name.startswith("app_")}
    return {name: text for name, text in asdict(names).items() if name in sql}


def test_seed_0_is_the_default_shop() -> None:
    """People meet plain names in the demo."""
    names = Names.from_seed(0)
    assert (names.database, names.orders, names.customer_key) == ("shop", "orders", "customer_id")
    assert (names.app_web, names.app_worker) == ("shop-web", "billing-worker")
    assert names.customer_index == "orders_customer_id_idx"
    assert names.order_rows == 200_000
    assert names.jobs == "orders:mail"
    assert list(names.pages()) == ["GET /product/{333}/page", "GET /product/{1000}"]


@pytest.mark.parametrize("seed", range(60))
def test_names_are_valid_identifiers_and_distinct(seed: int) -> None:
    """Every name is usable in SQL without quotes; tables, roles and applications differ."""
    names = Names.from_seed(seed)
    assert all(IDENTIFIER.fullmatch(text) for text in identifiers(names).values())
    assert not RESERVED & set(identifiers(names).values())
    assert len({names.customers, names.inventory, names.orders}) == 3
    values = asdict(names)
    for kind in ("app_", "role_"):
        chosen = [text for name, text in values.items() if name.startswith(kind)]
        assert len(set(chosen)) == len(chosen)


def test_seeds_vary_everything_and_repeat() -> None:
    """No field keeps its value over many seeds, except the scan role; a seed always gives one."""
    drawn = [asdict(Names.from_seed(seed)) for seed in range(1, 40)]
    constant = {name for name in drawn[0] if len({each[name] for each in drawn}) == 1}
    assert constant == {"role_scan"}
    assert Names.from_seed(5) == Names.from_seed(5)


def test_mix_names_the_routes_and_sizes() -> None:
    """Request templates reach as far as there are rows."""
    names = Names.from_seed(0)
    assert names.mix() == {
        "GET /product/{1000}": 60,
        "GET /customer/{20000}/orders": 30,
        "POST /order?customer={20000}&product={1000}": 10,
    }
