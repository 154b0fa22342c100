"""The command line: one thin file per command, nothing heavy imported at module level."""

from scaledoctor.cli.app import main

__all__ = ["main"]
