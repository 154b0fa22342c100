"""Rates, deltas and means over the samples of a window."""

import pytest

from scaledoctor.window import Window


def number(value: float) -> float:
    return value


def test_one_sample_gives_no_rate() -> None:
    """A one-shot scan says nothing about growth."""
    window = Window.of(5.0)
    assert (window.delta(number), window.rate(number), window.seconds) == (None, None, 0.0)


def test_a_counter_grows_per_second() -> None:
    """20 more in 2 seconds is 10 per second."""
    window = Window(((1.0, 100.0), (3.0, 120.0)))
    assert window.delta(number) == 20.0
    assert window.rate(number) == pytest.approx(10.0)


def test_a_reset_counter_gives_no_rate() -> None:
    """A counter that went backwards was reset: no number is better than a wrong one."""
    window = Window.of(100.0, 3.0, 200.0)
    assert window.delta(number) is None
    assert window.rate(number) is None


def test_gauges_have_a_mean_and_a_peak() -> None:
    """Mean and peak are taken over the samples, in order first to last."""
    window = Window.of(1.0, 2.0, 6.0)
    assert (window.mean(number), window.peak(number)) == (3.0, 6.0)
    assert (window.first, window.last, list(window), len(window)) == (1.0, 6.0, [1.0, 2.0, 6.0], 3)
