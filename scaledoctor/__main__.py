"""Allow ``python -m scaledoctor``."""

from scaledoctor.cli import main

main()
