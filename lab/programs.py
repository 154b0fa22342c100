"""Where the lab's own programs are."""

from pathlib import Path

WORKER = Path(__file__).with_name("worker.py")
SPIN = Path(__file__).with_name("spin.py")
