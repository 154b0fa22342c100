"""No secret and no literal gets into a snapshot; the snapshot survives being written down."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from scaledoctor.demo.servers import PostgresServer
from scaledoctor.diagnosis import diagnose
from scaledoctor.snapshot import Snapshot, dumps, loads
from scaledoctor.sources.postgres import Activity
from tests.sources.pg import last, look, registry, run, running, session

pytestmark = pytest.mark.live

LITERALS = ("plum-literal", "4111111111111111", "peach-comment", "cherry-dollar", "quince-utility")
SECRETS = ("hunter2", "s3cr3t-token", "pear-password", "apricot-url", "jane.doe@example.com")
"""Planted below, each in another place."""


@contextmanager
def planted(shop: PostgresServer) -> Iterator[None]:
    """Secrets and literals wherever a session or a statement can have them."""
    name = "job password=hunter2 jane.doe@example.com"
    names = {
        "web": "SELECT 'plum-literal', 4111111111111111 /* peach-comment */",
        name: "SELECT $tag$cherry-dollar$tag$ AS token",
        "x postgres://u:apricot-url@h/d": "SELECT 'token=s3cr3t-token' FROM account",
    }
    with ExitStack() as stack:
        for application, statement in names.items():
            dsn = shop.dsn("app", "shop", application_name=application)
            stack.enter_context(session(dsn, statement))
        blocked = "UPDATE account SET balance = 4111111111111111 % 7 WHERE id = 5"
        stack.enter_context(session(shop.dsn("app", "shop"), blocked))
        stack.enter_context(running(shop, shop.dsn("app", "shop"), blocked, waits="Lock"))
        yield


def statements(shop: PostgresServer) -> None:
    """What pg_stat_statements keeps as it was, utility statements with their literals."""
    run(
        shop.dsn(dbname="shop"),
        "ALTER ROLE plain PASSWORD 'pear-password'",
        "COMMENT ON TABLE account IS 'quince-utility'",
        "SELECT * FROM account WHERE balance = 4111111111111111 AND 'plum-literal' <> ''",
    )


def planted_in(text: str) -> list[str]:
    return [word for word in (*LITERALS, *SECRETS) if word in text]


def scanned(shop: PostgresServer, *, show_literals: bool = False) -> Snapshot:
    dsn = f"postgresql://watcher:pear-password@127.0.0.1:{shop.port}/shop"
    with planted(shop):
        snapshot = look(dsn, show_literals=show_literals, act=lambda: statements(shop))
    assert snapshot.records[0].reach.ok
    assert snapshot.records[0].failures == ()
    return snapshot


@pytest.fixture(scope="module")
def snapshot(shop: PostgresServer) -> Snapshot:
    """A scan while all that is planted is there."""
    return scanned(shop)


def test_nothing_secret_is_kept(snapshot: Snapshot) -> None:
    """Neither in the snapshot nor in what is diagnosed from it, and the masks are counted."""
    assert planted_in(dumps(snapshot).decode()) == []
    assert planted_in(repr(diagnose(snapshot, registry()))) == []
    for rule in ("password", "email", "url password", "sql literals"):
        assert snapshot.redactions[rule] >= 1
    applications = {s.application for s in last(snapshot.records[0], Activity).sessions}
    assert {"web", "job password=*** ***"} <= applications


def test_literals_can_be_shown_and_secrets_cannot(shop: PostgresServer) -> None:
    """--show-literals is about statements; a password stays masked."""
    kept = planted_in(dumps(scanned(shop, show_literals=True)).decode())
    assert {"plum-literal", "4111111111111111", "peach-comment"} <= set(kept)
    assert not set(kept) & set(SECRETS)


def test_a_snapshot_of_everything_comes_back_exactly(snapshot: Snapshot) -> None:
    """To JSON and back: the same facts, and the same diagnosis of them."""
    again = loads(dumps(snapshot), registry().facts)
    assert again == snapshot
    assert set(again.records[0].samples) == set(snapshot.records[0].samples) >= {"Statements"}
    assert {type(f) for _, f in again.records[0].samples["Activity"]} == {Activity}
    assert diagnose(again, registry()) == diagnose(snapshot, registry())


def test_what_we_are_told_when_refused_holds_no_password(shop: PostgresServer) -> None:
    """Nor does the address."""
    dsn = f"host=127.0.0.1 port={shop.port} user=nobody password='pear-password' dbname=shop"
    snapshot = look(dsn, 0.0)
    assert not snapshot.records[0].reach.ok
    assert planted_in(dumps(snapshot).decode()) == []
