"""Ctrl-C ends everything at once, with one line."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from scaledoctor.demo.servers import PostgresServer
from scaledoctor.loop import run

AT_WORK = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'scaledoctor'"


@pytest.mark.live
@pytest.mark.parametrize("words", [("scan",), ("collect", "-o", "s.json")], ids=" ".join)
def test_in_the_middle_of_a_long_look(words: tuple[str, ...], pg18: PostgresServer) -> None:
    """Code 130, no report, no file, no traceback, and our connection is gone."""
    import psycopg

    command = [sys.executable, "-m", "scaledoctor", *words, "--dsn", pg18.dsn(), "--window", "600"]
    with (
        psycopg.connect(pg18.dsn(), autocommit=True) as witness,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
    ):

        def sessions() -> int:
            row = witness.execute(AT_WORK).fetchone()
            assert row is not None
            return int(row[0])

        while not sessions():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        while sessions():
            time.sleep(0.02)
    assert (process.returncode, out, err) == (130, b"", b"scaledoctor: interrupted\n")
    assert not Path("s.json").exists()


STARTING = """
import sys
from scaledoctor.cli import main

class Interrupt:
    def find_spec(self, *_):
        raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt())
main()
"""


def test_while_it_still_starts() -> None:
    """An import is interrupted too."""
    done = subprocess.run([sys.executable, "-c", STARTING], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (130, b"scaledoctor: interrupted\n")


def test_no_thread_is_waited_for() -> None:
    """A name server that does not answer holds a thread, and neither deadline nor Ctrl-C ends it.

    With ``asyncio.run`` this test would never end.
    """
    answer = threading.Event()

    async def resolve() -> str:
        lookup = asyncio.get_running_loop().run_in_executor(None, answer.wait)
        try:
            async with asyncio.timeout(0.01):
                await lookup
        except TimeoutError:
            return "gave up"
        return "answered"

    assert run(resolve()) == "gave up"
    answer.set()


def test_what_a_thread_raises_is_handed_over() -> None:
    """Whatever it is."""

    async def fail() -> None:
        await asyncio.get_running_loop().run_in_executor(None, int, "no number")

    with pytest.raises(ValueError, match="no number"):
        run(fail())
