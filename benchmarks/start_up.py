"""CPU of start-up against an interpreter that does nothing."""

import os
import statistics
import subprocess
import sys

RUNS = 9


def cpu(*arguments: str) -> float:
    """CPU milliseconds (user and system) of one run."""
    child = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, _, usage = os.wait4(child.pid, 0)
    return (usage.ru_utime + usage.ru_stime) * 1000


def main() -> None:
    """Print medians over alternating runs."""
    cases = {
        "python -c pass": ("-c", "pass"),
        "--help": ("-m", "scaledoctor", "--help"),
        "--version": ("-m", "scaledoctor", "--version"),
        "checks": ("-m", "scaledoctor", "checks"),
    }
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(RUNS):
        for name, arguments in cases.items():
            found[name].append(cpu(*arguments))
    base = statistics.median(found["python -c pass"])
    for name, values in found.items():
        middle = statistics.median(values)
        print(f"{name:16} {middle:7.1f} ms CPU  x{middle / base:.1f}")


if __name__ == "__main__":
    main()
