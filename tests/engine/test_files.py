"""Whole files: replaced in one step, however the writer ends."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from scaledoctor.files import write_whole

WRITER = """
import sys
from pathlib import Path
from scaledoctor.files import write_whole
for number in range(1_000_000):
    write_whole(Path(sys.argv[1]), (b"%d" % (number % 10)) * 300_000)
"""


def test_a_file_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    """And nothing else is left beside it."""
    path = tmp_path / "r.json"
    write_whole(path, b"old")
    path.chmod(0o640)
    write_whole(path, b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o640)
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What it points to is replaced."""
    (tmp_path / "real").write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    write_whole(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    """It is no file that could be replaced."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_whole(pipe, b"report")
    reader.join(10)
    assert got == [b"report"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    """As the system tells it."""
    with pytest.raises(OSError, match="No space left"):
        write_whole(Path("/dev/full"), b"x")


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    """SIGKILL at any moment: every byte of the file is of one and the same writing."""
    path = tmp_path / "r.json"
    path.write_bytes(b"0" * 300_000)
    rng = random.Random(7)
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)]) as writer:
            time.sleep(0.2 + rng.random() * 0.2)
            writer.send_signal(signal.SIGKILL)
        data = path.read_bytes()
        assert len(data) == 300_000
        assert len(set(data)) == 1
