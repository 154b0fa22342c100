"""Rates, deltas and means over the samples of a window."""

import pytest

from scaledoctor.window import POINTS, Window


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


def test_a_history_is_evenly_spaced_and_bounded() -> None:
    """Each sample is a point; of a long window each point is the mean of what is near it."""
    assert Window.of(1.0, 2.0, 6.0, 6.0).history(number) == (1.0, 2.0, 6.0, 6.0)
    long = Window.of(*map(float, range(1200)))
    found = long.history(number)
    assert len(found) == POINTS
    assert found[0] < found[1] < found[-1]
    assert sum(found) / POINTS == pytest.approx(599.5, rel=0.01)


def test_a_history_bears_jitter_and_gaps() -> None:
    """Late samples keep their place; where none was taken the one before stands."""
    jitter = Window(((0.0, 1.0), (0.58, 2.0), (0.93, 3.0), (1.5, 4.0)))
    assert jitter.history(number) == (1.0, 2.0, 3.0, 4.0)
    gap = Window(((0.0, 1.0), (0.5, 2.0), (2.9, 3.0), (3.0, 4.0)))
    assert gap.history(number) == (1.5, 1.5, 1.5, 3.5)


@pytest.mark.parametrize("samples", [((0.0, 1.0),) * 5, ((0.0, 1.0), (1.0, 2.0), (2.0, 3.0))])
def test_few_samples_or_no_time_make_no_history(samples: tuple[tuple[float, float], ...]) -> None:
    """Three points are no line, and a moment is no window."""
    assert Window(samples).history(number) == ()


def test_a_counters_history_is_its_speed() -> None:
    """Between each two samples; a counter that was reset has none."""
    assert Window.of(0.0, 1.0, 3.0, 3.0, 4.0).rate_history(number) == (2.0, 4.0, 0.0, 2.0)
    assert Window.of(0.0, 1.0, 3.0, 0.0, 4.0).rate_history(number) == ()
