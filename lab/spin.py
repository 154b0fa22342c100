"""A program that uses one core and has nothing to do with the database; ends after two minutes.

Of the standard library alone: many of them must start quickly on a machine that is already full.
"""

import sys
import time


def spin(seconds: float) -> None:
    """Count."""
    end = time.monotonic() + seconds
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while time.monotonic() < end:
        sum(range(100_000))


if __name__ == "__main__":
    spin(120.0)
