"""Whatever is wrong with the input gets one clear line and exit code 2, never a traceback."""

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

SECRET = "s3cr3t"  # noqa: S105  it must never come back

WORDS: dict[tuple[str, ...], str] = {
    ("nosuch",): "No such command 'nosuch'",
    ("scan", "--bogus"): "No such option: --bogus",
    ("scan", "extra"): "unexpected extra argument",
    ("scan", "--window", "-1"): "--window",
    ("scan", "--window", "1e9"): "--window",
    ("scan", "--window", "ten"): "--window",
    ("scan", "--window", "nan"): "not a number of seconds",
    ("scan", "--fail-on", "bad"): "is not one of 'none', 'low'",
    ("scan", "--color", "blue"): "is not one of 'auto', 'always'",
    ("scan", "-o", "yaml"): "-o yaml: no such format 'yaml' (one of: csv, github, gitlab",
    ("scan", "-o", "jsn"): "(did you mean json?)",
    ("scan", "-o", "json:no/where.json"): "-o json:no/where.json: no such folder no",
    ("scan", "-o", "json:."): ". is a folder, not a file",
    ("scan", "-o", "json", "-o", "terminal"): "only one report can go to stdout",
    ("scan", "-o", "json:-", "-o", "markdown:"): "only one report can go to stdout",
    ("scan", "-o", "json:a", "-o", "markdown:a"): "only one report can go to a",
    ("scan", "--checks-dir", "nowhere"): "--checks-dir nowhere: no such folder",
    ("scan", "--from", "nowhere.json"): "nowhere.json: No such file or directory",
    ("scan", "--from", "."): ".: Is a directory",
    ("scan", "--dsn", "mysql://shop@db/shop"): "'mysql' is not a PostgreSQL URL",
    ("scan", "--dsn", ""): "--dsn: it is empty",
    ("scan", "--dsn", "host=db port=many"): "the port is not a number",
    ("scan", "--from", "s.json", "--dsn", "host=db"): "--dsn has no use beside it",
    ("scan", "--nginx", f"http://u:{SECRET}@h:x/"): "this is not an http or https URL",
    ("scan", "--nginx", f"http://u:1/{SECRET}@h/"): "/ as %2F",
    ("scan", "--envoy", f"http://u:1#{SECRET}@h/"): "# as %23",
    ("scan", "--url", f"http://u:1?{SECRET}@h/"): "? as %3F",
    ("scan", "--haproxy", f"http://u:1/{SECRET}@h/"): "/ as %2F",
    ("scan", "--haproxy", f"u:{SECRET}@h:1"): "neither a URL nor a socket",
    ("scan", "--haproxy-cfg", "nowhere"): "--haproxy-cfg nowhere: no such file",
    ("scan", "--dsn", SECRET): "neither a PostgreSQL URL nor a keyword/value string",
    ("scan", "--dsn", f"host=db pasword={SECRET}"): "no connection parameter 'pasword' (did you "
    "mean password?)",
    ("scan", "--dsn", "postgresql://db/shop?pool_size=5"): "no connection parameter 'pool_size'",
    ("scan", "--dsn", f"host=db password=a {SECRET}=b"): "neither a PostgreSQL URL nor",
    ("scan", "--dsn", f"postgresql://u:{SECRET}%zz@db/shop"): "neither a PostgreSQL URL nor",
    ("scan", "--dsn", f"postgresql://u:a@{SECRET}@db/shop"): "write @ as %40",
    ("scan", "--dsn", f"postgresql://u:a/{SECRET}@db/shop"): "/ as %2F",
    ("collect",): "Missing option '-o'",
    ("collect", "-o", "no/where.json"): "-o no/where.json: no such folder no",
    ("collect", "-o", "."): ". is a folder, not a file",
    ("collect", "-o", "s.json", "--dsn", SECRET): "neither a PostgreSQL URL nor",
    ("collect", "-o", "s.json", "--checks-dir", "nowhere"): "no such folder",
    ("checks", "show"): "Missing argument 'ID'",
    ("checks", "show", "nothing.like-it"): "no check 'nothing.like-it' (see: scaledoctor checks",
    ("checks", "show", "postgres.lock"): "(did you mean postgres.locks?)",
    ("checks", "--checks-dir", "nowhere"): "no such folder",
    ("demo", "--fault", "nothing"): "no fault 'nothing' (faults: ",
    ("demo", "--seed", "x"): "--seed",
}


@pytest.mark.parametrize(("words", "says"), WORDS.items(), ids=map(" ".join, WORDS))
def test_it_says_what_where_and_what_to_do(cli: Cli, words: tuple[str, ...], says: str) -> None:
    """On stderr, in its last line, and without any secret."""
    done = cli(*words)
    assert (done.code, done.out) == (2, "")
    assert says in done.err.splitlines()[-1]
    assert done.err.startswith(("scaledoctor: ", "Usage: "))
    assert len(done.err.splitlines()) == (1 if done.err.startswith("scaledoctor: ") else 4)
    assert SECRET not in done.err


def test_the_environment_is_read_with_the_same_care(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL that cannot be read is an error there too."""
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u:{SECRET}%zz@db/shop")
    done = cli("scan", "--window", "0")
    assert (done.code, done.out) == (2, "")
    assert SECRET not in done.err


def test_a_scheme_is_only_shown_where_there_is_one(cli: Cli) -> None:
    """A password may hold "://" too."""
    done = cli("scan", "--window", "0", "--dsn", f"host=127.0.0.1 port=1 password={SECRET}://x")
    assert done.code == 3
    assert SECRET not in done.err + done.out


def test_an_environment_that_names_nothing_is_told(cli: Cli) -> None:
    """Never "healthy" without a word on what was not looked at."""
    done = cli("scan", "--window", "0", "-q")
    assert done.code == 0
    assert "no database and nothing else was looked at" in " ".join(done.out.split())


def test_no_command_at_all_shows_the_commands(cli: Cli) -> None:
    """Usage, and code 2 as for any other missing word."""
    done = cli()
    assert done.code == 2
    assert "collect" in done.err


FILES = {
    "an empty file": b"",
    "no JSON": b"hello",
    "bytes": bytes(range(256)),
    "a list": b"[]",
    "somebody else's JSON": b'{"records": 1, "version": 2}',
    "a report": b'{"schema_version": 1, "tool": "scaledoctor", "verdict": {}}',
    "another schema": b'{"schema_version": 99, "records": []}',
    "too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_a_file_that_is_no_snapshot(cli: Cli, tmp_path: Path, data: bytes) -> None:
    """Its name, and what is wrong with it."""
    path = tmp_path / "s.json"
    path.write_bytes(data)
    done = cli("scan", "--from", path)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"scaledoctor: {path}: ")
    assert len(done.err.splitlines()) == 1


@pytest.mark.live
def test_a_snapshot_that_was_cut_or_emptied(cli: Cli, snapshot: Path) -> None:
    """A cut file is refused; a fact without a reading is one that was not read."""
    whole = snapshot.read_bytes()
    for size in (1, len(whole) // 2, len(whole) - 2):
        snapshot.write_bytes(whole[:size])
        done = cli("scan", "--from", snapshot)
        assert (done.code, done.out) == (2, "")
        assert "not a readable snapshot" in done.err
    document = json.loads(whole)
    for record in document["records"]:
        record["samples"] = {name: [] for name in record["samples"]}
    snapshot.write_text(json.dumps(document))
    done = cli("scan", "--from", snapshot)
    assert (done.code, done.err) == (0, "")
    assert "UNKNOWN" in done.out


def test_a_file_that_may_not_be_written_is_told_before_the_scan(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten seconds of looking are not thrown away."""
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    for words in (("scan", "-o", "json:r.json"), ("collect", "-o", "r.json")):
        done = cli(*words)
        assert (done.code, done.out) == (2, "")
        assert "no permission to write r.json" in done.err
