"""``scaledoctor explain`` as users call it: files, stdin, a live server, and bad input."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scaledoctor.demo.servers import PostgresServer

CAPTURED = Path(__file__).parents[1] / "plans" / "captured"
SLOW = CAPTURED / "18" / "00-seq-scan-selective-filter.bad.txt"


def explain(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run the command."""
    command = [sys.executable, "-m", "scaledoctor", "explain", *arguments]
    wide = {**os.environ, "COLUMNS": "160"}
    return subprocess.run(
        command, input=stdin, capture_output=True, check=False, timeout=60, env=wide
    )


def test_a_file_is_read_judged_and_masked() -> None:
    """The problem, the tree and no literal; stdin says the same."""
    found = explain(str(SLOW))
    assert found.returncode == 0, found.stderr
    text = found.stdout.decode()
    assert "seq-scan-selective-filter" in text
    assert "Seq Scan on" in text
    assert "4242" not in text
    assert explain("-", stdin=SLOW.read_bytes()).stdout == found.stdout
    assert "4242" in explain(str(SLOW), "--show-literals").stdout.decode()


def test_markdown_has_the_tree_in_a_block() -> None:
    """Ready for an issue."""
    text = explain(str(SLOW), "-o", "markdown").stdout.decode()
    assert text.count("```") == 2
    assert "`seq-scan-selective-filter`" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "one plan or one statement is needed"),
        (("-", "--query", "SELECT 1"), "one plan or one statement is needed"),
        (("/nowhere",), "No such file"),
        (("-", "--dsn", "postgresql://x"), "--dsn has no use without --query"),
        (("-",), "stdin: no plan that can be read"),
        (("--query", "SELECT 1", "--dsn", "postgresql://u@127.0.0.1:1/x"), "refused"),
    ],
)
def test_bad_input_gives_one_line(arguments: tuple[str, ...], words: str) -> None:
    """What, where, what to do; never a traceback."""
    found = explain(*arguments)
    assert found.returncode in (2, 3)
    assert found.stdout == b""
    (line,) = found.stderr.decode().strip().splitlines()
    assert words in line


@pytest.mark.live
def test_a_statement_is_asked_of_a_server(postgres_server: PostgresServer) -> None:
    """A superuser's statement is planned, not run, unless that is insisted on."""
    query = "SELECT count(*) FROM generate_series(1, 300000) i WHERE i = 7"
    dsn = postgres_server.dsn()
    planned = explain("--query", query, "--dsn", dsn).stdout.decode()
    assert "the role is a superuser" in planned
    run = explain("--query", query, "--dsn", dsn, "--analyze", "always").stdout.decode()
    assert "rolled back" in run
    assert "300000" not in run
    wrong = explain("--query", "SELECT nothing FROM nowhere", "--dsn", dsn)
    assert wrong.returncode == 2
    assert wrong.stderr.decode().count("\n") == 1
