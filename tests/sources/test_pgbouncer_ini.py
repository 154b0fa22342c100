"""pgbouncer.ini as PgBouncer reads it, with the place of every line."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from scaledoctor.collect import collect
from scaledoctor.redact import Redactor
from scaledoctor.registry import load
from scaledoctor.snapshot import Record, dumps
from scaledoctor.sources.pgbouncer_ini import MOST_BYTES, PoolerIni
from scaledoctor.targets.address import file_target

REGISTRY = load()

MAIN = """;; comment = none
[databases]
shop = host=10.0.0.1 dbname='my shop' password='it''s hunter2' pool_size=30
* = host=10.0.0.2
  # another comment

[pgbouncer]
pool_mode = transaction
default_pool_size=15
%include more.ini
server_reset_query = DISCARD ALL ; no comment here
[users]
web = max_user_connections=10
"""


def read(folder: Path, files: Mapping[str, str | bytes]) -> Record:
    """The record of pgbouncer.ini in that folder."""
    for name, text in files.items():
        data = text if isinstance(text, bytes) else text.encode()
        (folder / name).write_bytes(data)
    target = file_target("pgbouncer-ini", str(folder / "pgbouncer.ini"))
    snapshot = collect([target], REGISTRY, Redactor(), 0.0)
    assert b"hunter2" not in dumps(snapshot)
    return snapshot.records[0]


def parsed(folder: Path, files: Mapping[str, str]) -> PoolerIni:
    """The fact of that."""
    fact: PoolerIni = read(folder, files).samples["PoolerIni"][0][1]
    return fact


def test_settings_have_their_line_and_includes_their_file(tmp_path: Path) -> None:
    """In the order in which PgBouncer reads them; the last one counts."""
    more = "default_pool_size = 25\n[users]\napi = pool_mode=session\n"
    ini = parsed(tmp_path, {"pgbouncer.ini": MAIN, "more.ini": more})
    size = ini.setting("default_pool_size")
    assert size is not None
    assert (size.value, size.where) == ("25", f"{tmp_path}/more.ini:1")
    mode = ini.setting("pool_mode")
    assert mode is not None
    assert mode.where == f"{tmp_path}/pgbouncer.ini:8"
    assert ini.number("default_pool_size", 20) == 25
    assert ini.number("reserve_pool_size", 7) == 7
    assert ini.setting("server_reset_query") is None, "the include ended in [users]"
    assert [one.name for one in ini.section("users")] == ["api", "server_reset_query", "web"]
    assert not ini.problems


def test_entries_have_options_and_no_password(tmp_path: Path) -> None:
    """Quoted values, doubled quotes."""
    ini = parsed(tmp_path, {"pgbouncer.ini": MAIN, "more.ini": ""})
    shop, star = ini.section("databases")
    assert shop.options["dbname"] == "my shop"
    assert shop.options["pool_size"] == "30"
    assert star.name == "*"


def test_misplaced_secrets_are_masked_too(tmp_path: Path) -> None:
    """A password in the wrong section, and LDAP options of any form."""
    text = "[pgbouncer]\npassword = hunter2\nauth_ldap_options = ldapbindpasswd=hunter2\n"
    ini = parsed(tmp_path, {"pgbouncer.ini": text})
    assert [one.value for one in ini.lines] == ["***", "***"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[pgbouncer]\npool_mode transaction\n", 2, "neither a setting"),
        ('[databases]\n"my shop" = host=1\n', 2, "neither a setting"),
        ("[pgbouncer\npool_mode = session\n", 1, "without its ]"),
        ("%include none.ini\n", 1, "include none.ini cannot be read: No such file"),
        ("%include pgbouncer.ini\n", 1, "includes itself"),
        ("\n%include a.ini\n", 1, "includes itself"),
        ("pool_mode = session\n[pgbouncer]\n", 1, "before the first section"),
    ],
)
def test_problems_are_told_with_their_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    """And the rest of the file is read."""
    files = {
        "pgbouncer.ini": text + "[pgbouncer]\n[users]\nweb =\n",
        "a.ini": "%include pgbouncer.ini\n",
    }
    ini = parsed(tmp_path, files)
    assert words in ini.problems[0].words
    assert ini.problems[0].line == line
    assert ini.section("users")


def test_a_second_section_resets_the_settings_of_the_first(tmp_path: Path) -> None:
    """Only what stands after its last beginning counts; other sections may be opened again."""
    text = (
        "[pgbouncer]\npool_mode = transaction\nmax_client_conn = 9\n[databases]\na =\n"
        "[pgbouncer]\nmax_client_conn = 5\n[databases]\nb =\n"
    )
    ini = parsed(tmp_path, {"pgbouncer.ini": text})
    assert ini.setting("pool_mode") is None
    assert ini.number("max_client_conn", 100) == 5
    assert [(r.line, r.words) for r in ini.resets] == [(6, "pool_mode, max_client_conn")]
    assert [one.name for one in ini.section("databases")] == ["a", "b"]
    assert not ini.problems


def test_a_file_without_the_main_section_is_something_else(tmp_path: Path) -> None:
    """One line; with an include, which may have been meant to hold it, a problem of the file."""
    record = read(tmp_path, {"pgbouncer.ini": "[databases]\na =\n"})
    assert record.reach.message == (
        f"{tmp_path}/pgbouncer.ini is no pgbouncer.ini: it has no section [pgbouncer]"
    )
    ini = parsed(tmp_path, {"pgbouncer.ini": "%include a.ini\n", "a.ini": "[users]\n"})
    assert [p.words for p in ini.problems] == [
        "there is no section [pgbouncer], in no include either"
    ]


def test_nesting_ends(tmp_path: Path) -> None:
    """Ten deep, as in PgBouncer; a file that is included often is no loop but no endless work."""
    chain = {f"n{i}.ini": f"%include n{i + 1}.ini\n" for i in range(30)}
    ini = parsed(tmp_path, {"pgbouncer.ini": "[pgbouncer]\n%include n0.ini\n", **chain})
    assert [p.words for p in ini.problems] == ["n10.ini: includes are nested too deep, or too many"]
    fan = {f"n{i}.ini": f"%include n{i + 1}.ini\n" * 9 for i in range(9)} | {"n9.ini": ""}
    ini = parsed(tmp_path, {"pgbouncer.ini": "%include n0.ini\n", **fan})
    assert ini.problems


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x00\x01\x02", "is no text"),
        (b"# \n" * (MOST_BYTES // 3 + 2), "is larger than 4 MB"),
    ],
)
def test_what_is_no_configuration_is_one_line(tmp_path: Path, data: bytes, words: str) -> None:
    """Never a traceback."""
    record = read(tmp_path, {"pgbouncer.ini": data})
    assert not record.reach.ok
    assert words in record.reach.message
    assert not record.failures


def test_a_file_that_is_not_ours_to_read(tmp_path: Path) -> None:
    """Which file, why, what to do."""
    file = tmp_path / "pgbouncer.ini"
    file.touch(mode=0)
    target = file_target("pgbouncer-ini", str(file))
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        (record,) = collect([target], REGISTRY, Redactor(), 0.0).records
    finally:
        if root:
            os.seteuid(0)
    assert "Permission denied" in record.reach.message
    assert "group" in record.reach.enable


def test_foreign_bytes_and_empty_files(tmp_path: Path) -> None:
    """A name in Latin-1, and nothing at all."""
    latin = "[pgbouncer]\n[databases]\ncaf\xe9 = host=1\n".encode("latin-1")
    assert read(tmp_path, {"pgbouncer.ini": latin}).reach.ok
    assert parsed(tmp_path, {"pgbouncer.ini": "[pgbouncer]\n"}).lines == ()
    assert "is no pgbouncer.ini" in read(tmp_path, {"pgbouncer.ini": ""}).reach.message
