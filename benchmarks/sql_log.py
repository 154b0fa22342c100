"""Reading SQL logs: CPU seconds beside pgBadger and a plain loop, over files of a real server.

A real PostgreSQL writes them in three formats at once, under pgbench in its three protocols and
a page with an N+1; the file is then repeated to its size. Runs alternate, because other work on
the machine slows whoever runs beside it.

    ./run python -m benchmarks.sql_log [MEGABYTES]
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from scaledoctor.demo.servers import PostgresServer, find_postgres, postgres

ROUNDS = 3
SECONDS = 6
PREFIX = "%m [%p] %q%u@%d "
SETTINGS: dict[str, str | int] = {
    "logging_collector": "on",
    "log_destination": "stderr,csvlog,jsonlog",
    "log_filename": "postgresql.log",
    "log_min_duration_statement": 0,
    "log_line_prefix": PREFIX,
    "log_connections": "on",
    "log_disconnections": "on",
    "shared_preload_libraries": "",
    "log_rotation_size": 0,
}
FORMATS = {"stderr": ".log", "csv": ".csv", "jsonlog": ".json"}


def workload(server: PostgresServer) -> None:
    """Transactions of pgbench, and pages that ask for each row of a list."""
    bench = [str(server.bindir / "pgbench"), "-h", "127.0.0.1", "-p", str(server.port),
             "-U", "postgres"]  # fmt: skip
    subprocess.run([*bench, "-i", "-q", "postgres"], check=True, capture_output=True)
    for protocol in ("simple", "extended", "prepared"):
        command = [*bench, "-M", protocol, "-c", "4", "-T", str(SECONDS), "postgres"]
        subprocess.run(command, check=True, capture_output=True)
    with psycopg.connect(server.dsn(), autocommit=True) as shop:
        for page in range(400):
            shop.execute(f"SELECT aid FROM pgbench_accounts WHERE aid > {page} LIMIT 20".encode())
            for row in range(20):
                shop.execute(
                    f"SELECT * FROM pgbench_tellers WHERE tid = {row} AND bid <> {page}".encode()
                )


def logs(folder: Path, megabytes: int) -> dict[str, Path]:
    """The three files, each of about that size."""
    binaries = next(b for b in find_postgres() if b.major >= 15)
    with postgres(bindir=binaries.bindir, settings=SETTINGS) as server:
        workload(server)
        time.sleep(1)
        for suffix in FORMATS.values():
            shutil.copy(server.data / "log" / f"postgresql{suffix}", folder / f"one{suffix}")
    found: dict[str, Path] = {}
    for name, suffix in FORMATS.items():
        once = (folder / f"one{suffix}").read_bytes()
        found[name] = folder / f"all{suffix}"
        with found[name].open("wb") as file:
            while file.tell() < megabytes * 1_000_000:
                file.write(once)
    return found


def spent(command: list[str]) -> tuple[float, float, float]:
    """CPU seconds, seconds and megabytes of one command and of the processes that it starts."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - began, usage.ru_maxrss / 1024


def ours(path: Path) -> list[str]:
    """Everything that the command does, on all cores."""
    return [sys.executable, "-m", "scaledoctor", "logs", str(path), "-o", "json"]


def theirs(path: Path, name: str) -> list[str]:
    """PgBadger, with JSON as its output."""
    return ["pgbadger", "-q", "-f", name, "-p", PREFIX, "-x", "json", "-o", "-",
            "--pid-dir", str(path.parent), str(path)]  # fmt: skip


def loop(path: Path) -> list[str]:
    """What reading the lines alone costs."""
    return [sys.executable, "-c", f"for line in open({str(path)!r}, 'rb'): pass"]


def row(name: str, size: float, runs: list[tuple[float, float, float]]) -> float:
    """Print one line of the table; return the least CPU seconds."""
    cpu, wall = (min(one[place] for one in runs) for place in (0, 1))
    print(f"{name:22} {cpu:8.2f} {size / cpu:10.1f} {wall:8.1f} {runs[-1][2]:8.0f}")
    return cpu


def main() -> None:
    """Print the table, and how many times less CPU than pgBadger it takes."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    badger = shutil.which("pgbadger")
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'':22} {'CPU s':>8} {'MB/CPU s':>10} {'wall s':>8} {'RSS MB':>8}")
        for name, path in logs(Path(folder), megabytes).items():
            size = path.stat().st_size / 1e6
            commands = {"for line in file": loop(path), "scaledoctor logs": ours(path)}
            if badger:
                commands["pgbadger"] = theirs(path, name)
            measured: dict[str, list[tuple[float, float, float]]] = {}
            for _ in range(ROUNDS):
                for what, command in commands.items():
                    measured.setdefault(what, []).append(spent(command))
            print(f"{name}, {size:.0f} MB")
            least = {what: row(f"  {what}", size, runs) for what, runs in measured.items()}
            if badger:
                print(f"  {least['pgbadger'] / least['scaledoctor logs']:.1f} times less CPU")


if __name__ == "__main__":
    main()
