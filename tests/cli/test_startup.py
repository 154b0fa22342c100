"""Start-up stays light: heavy libraries load only when a command needs them."""

import subprocess
import sys

import pytest

HEAVY = (
    "asyncio", "httpx", "msgspec", "postgast", "psutil", "psycopg", "pydantic", "pymysql", "redis",
    "rich", "sqlglot",
)  # fmt: skip

SCRIPT = """
import sys
sys.argv = ["scaledoctor", *{args!r}]
from scaledoctor.cli import main
try:
    main()
except SystemExit as end:
    code = end.code
print(code, *sorted(set({heavy!r}) & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "args",
    [["--help"], ["--version"], ["checks"], ["checks", "show", "postgres.locks"],
     ["scan", "--help"], ["demo", "--help"], ["logs", "--help"]],
    ids=" ".join,
)  # fmt: skip
def test_no_heavy_import(args: list[str]) -> None:
    """The list of modules after the command is free of all client and drawing libraries."""
    code = SCRIPT.format(args=args, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == ["0"]
    assert done.stdout
