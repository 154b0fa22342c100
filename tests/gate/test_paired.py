"""The paired gate: its numbers, its edges, and real commands run in turns."""

import sys
from itertools import product

import pytest

from scaledoctor.cli._paired import measured, numbers, run_paired, turns
from scaledoctor.errors import Exit, ScaledoctorError
from scaledoctor.gate.paired import ALPHA, left_out, paired

FLAT = [1.0, 1.02, 0.98, 1.01, 0.99, 1.03, 0.97, 1.0]


@pytest.mark.parametrize("pairs", [5, 7, 8, 10, 12])
def test_the_bound_is_that_of_all_signs(pairs: int) -> None:
    """Counted over every order of signs: its error is at most alpha, one more exceeds it."""
    negative = [sum(signs) for signs in product((0, 1), repeat=pairs)]
    left = left_out(pairs)
    assert sum(count <= left for count in negative) / len(negative) <= ALPHA
    assert sum(count <= left + 1 for count in negative) / len(negative) > ALPHA


@pytest.mark.parametrize(
    ("ratio", "worse"), [(1.0, False), (1.19, False), (1.21, True), (3.0, True), (0.5, False)]
)
def test_a_clear_ratio_of_twenty_percent_is_worse(ratio: float, worse: bool) -> None:
    """At the edge, and never the faster one."""
    found = paired("x", FLAT, [value * ratio for value in FLAT])
    assert found.ratio == pytest.approx(ratio)
    assert found.worse is worse


def test_one_slow_run_is_not_worse() -> None:
    """Nor two of eight."""
    assert not paired("x", FLAT, [*FLAT[:6], 3.0, 3.0]).worse


def test_a_mean_slowdown_that_is_not_sure_is_not_worse() -> None:
    """30 % in the centre with pairs on both sides."""
    head = [1.5, 1.6, 0.7, 1.5, 1.4, 0.8, 1.5, 0.9]
    found = paired("x", [1.0] * 8, head)
    assert found.ratio >= 1.15
    assert (found.at_least < 1.0, found.worse) == (True, False)


def test_less_than_the_floor_is_nothing() -> None:
    """Two milliseconds against one."""
    base, head = [value / 1000 for value in FLAT], [value / 500 for value in FLAT]
    assert not paired("x", base, head, floor=0.005).worse
    assert paired("x", base, head).worse


@pytest.mark.parametrize(
    ("base", "head"), [([1.0] * 4, [1.0] * 4), ([1.0] * 8, [1.0] * 7), ([0.0] * 8, [1.0] * 8)]
)
def test_too_few_or_impossible_times_are_refused(base: list[float], head: list[float]) -> None:
    """A ratio of nothing is nothing."""
    with pytest.raises(ValueError, match="x: "):
        paired("x", base, head)


def test_turns_are_abba() -> None:
    """So that a drift of the machine hits both."""
    assert "".join(turns("A", "B", 4)) == "ABBAABBA"


def command(code: str) -> str:
    """A Python program as a command line."""
    return f"'{sys.executable}' -c '{code}'"


def test_a_command_gives_its_own_numbers_or_its_seconds() -> None:
    """The last line counts if it is a JSON object with numbers."""
    assert measured(command('print("x"); print("{\\"p95\\": 4, \\"name\\": \\"n\\"}")')) == {
        "p95": 4.0
    }
    assert list(measured(command("pass"))) == ["seconds"]
    assert numbers("[1]") == numbers("x") == numbers('{"ok": true}') == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (command("raise SystemExit(3)"), "exit code 3"),
        ("no-such-program-at-all", "No such file"),
        ("echo '", "No closing quotation"),
    ],
)
def test_a_command_that_fails_is_one_line(words: str, said: str) -> None:
    """It is no measurement."""
    with pytest.raises(ScaledoctorError, match=said):
        measured(words)


def test_two_commands_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    """By their own numbers, which no machine disturbs."""
    base, head = command('print("{\\"p95\\": 40}")'), command('print("{\\"p95\\": 63}")')
    assert run_paired(base, head, 5) == Exit.REGRESSION
    assert (
        "! FAILS p95: 40 -> 63 (+57%, noise 0%, at least +57%, 5 rounds)" in capsys.readouterr().out
    )
    assert run_paired(base, command('print("{\\"p95\\": 41}")'), 5) == Exit.OK
    with pytest.raises(ScaledoctorError, match="too few to tell"):
        run_paired(base, head, 4)
    with pytest.raises(ScaledoctorError, match="p95: 0 pairs"):
        run_paired(base, command("pass"), 5)
