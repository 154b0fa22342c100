"""The command line: one thin file per command, nothing heavy imported at module level."""

import sys


def main() -> None:
    """Run a command; Ctrl-C at any moment, while we still start too, is one line and code 130."""
    try:
        from scaledoctor.cli import app

        app.main()
    except KeyboardInterrupt:
        sys.stderr.write("scaledoctor: interrupted\n")
        sys.exit(130)
