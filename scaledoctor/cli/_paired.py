"""Run two commands in turns and compare what they measured."""

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from time import monotonic

from scaledoctor.errors import Exit, ScaledoctorError
from scaledoctor.gate.paired import MIN_ROUNDS, Paired, paired

SECONDS = "seconds"
FLOOR = 0.005
"""Seconds below which a difference is none (conventions B.4.3: 5 ms)."""

LONGEST = 600.0
"""Seconds after which a command is stopped: a load test that hangs must not hold the job."""


def run_paired(base: str, head: str, rounds: int) -> int:
    """Run both ``rounds`` times in turns; exit 5 when a timing of head is surely worse."""
    if rounds < MIN_ROUNDS:
        raise ScaledoctorError(f"--rounds {rounds}: too few to tell", f"{MIN_ROUNDS} or more")
    series: dict[str, dict[str, list[float]]] = {base: {}, head: {}}
    for number, command in enumerate(turns(base, head, rounds), 1):
        sys.stderr.write(f"scaledoctor: run {number} of {2 * rounds}\n")
        for name, value in measured(command).items():
            series[command].setdefault(name, []).append(value)
    found = [
        compared(name, series[base][name], series[head].get(name, [])) for name in series[base]
    ]
    for one in found:
        sys.stdout.write(f"{line(one)}\n")
    return Exit.REGRESSION if any(one.worse for one in found) else Exit.OK


def turns(base: str, head: str, rounds: int) -> Iterator[str]:
    """ABBA: which of the two begins changes every round."""
    for number in range(rounds):
        yield from (base, head) if number % 2 == 0 else (head, base)


def measured(command: str) -> dict[str, float]:
    """Run one command: the numbers of the JSON object in its last line, else its seconds.

    Raises:
        ScaledoctorError: it cannot be started, fails, or does not end.
    """
    began = monotonic()
    try:
        done = subprocess.run(
            shlex.split(command), stdout=subprocess.PIPE, text=True, timeout=LONGEST, check=True
        )
    except OSError as error:
        raise ScaledoctorError(f"{command}: {error.strerror}") from None
    except ValueError as error:
        raise ScaledoctorError(f"{command}: {error}", "quote it as for a shell") from None
    except subprocess.CalledProcessError as error:
        raise ScaledoctorError(f"{command}: exit code {error.returncode}") from None
    except subprocess.TimeoutExpired:
        raise ScaledoctorError(f"{command}: still running after {LONGEST:g} s") from None
    seconds = monotonic() - began
    lines = done.stdout.strip().splitlines()
    return numbers(lines[-1]) or {SECONDS: seconds} if lines else {SECONDS: seconds}


def numbers(text: str) -> dict[str, float]:
    """Every number of a JSON object; nothing of any other text."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        str(name): float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def compared(name: str, base: list[float], head: list[float]) -> Paired:
    """Compare one metric.

    Raises:
        ScaledoctorError: it was not measured in every run, or is no positive number.
    """
    try:
        return paired(name, base, head, FLOOR if name == SECONDS else 0.0)
    except ValueError as error:
        raise ScaledoctorError(str(error), "every run of both must give every number") from None


def line(one: Paired) -> str:
    """One metric in numbers: ``! seconds 0.41 -> 0.63 (+54 %, noise 9 %, at least +31 %)``."""
    mark = "!" if one.worse else "~"
    word = "FAILS" if one.worse else "ok"
    return (
        f"{mark} {word:5} {one.name}: {one.base:.4g} -> {one.head:.4g} ({one.ratio - 1:+.0%}, "
        f"noise {one.noise:.0%}, at least {one.at_least - 1:+.0%}, {one.rounds} rounds)"
    )
