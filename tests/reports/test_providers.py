"""Loading the report formats costs no heavy import."""

import subprocess
import sys

SCRIPT = """
import sys
from scaledoctor.registry import load
found = load(groups=("scaledoctor.reports",))
print(*sorted(found.renderers), *(p.error for p in found.problems))
print(*sorted({"rich", "msgspec", "asyncio"} & set(sys.modules)))
"""


def test_formats_load_without_their_libraries() -> None:
    """The registry finds the three formats; rich, msgspec and asyncio stay out."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    names, heavy = done.stdout.split("\n")[:2]
    assert {"json", "markdown", "terminal"} <= set(names.split())
    assert heavy == ""
