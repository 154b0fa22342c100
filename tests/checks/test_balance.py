"""The balance test: its arithmetic, and each guard at its edge."""

import random

import pytest

from scaledoctor_checks.balancing._balance import Member, imbalance, tail


def members(*requests: float, weights: tuple[float, ...] = ()) -> list[Member]:
    """Members s1, s2, ... with these requests."""
    return [
        Member(f"s{i}", weights[i - 1] if weights else 1.0, n)
        for i, n in enumerate(requests, 1)
    ]  # fmt: skip


# From a table of the chi-square distribution.
@pytest.mark.parametrize(
    ("square", "freedom", "p"),
    [(3.841, 1, 0.05), (5.991, 2, 0.05), (11.345, 3, 0.01), (18.467, 4, 0.001),
     (20.515, 5, 0.001), (124.342, 100, 0.05), (123.225, 99, 0.05)],
)  # fmt: skip
def test_the_tail_is_that_of_the_tables(square: float, freedom: int, p: float) -> None:
    assert tail(square, freedom) == pytest.approx(p, rel=0.01)


def test_a_huge_statistic_has_no_tail() -> None:
    assert tail(1e9, 3) == 0.0


def test_twelve_requests_split_nine_to_three_say_nothing() -> None:
    assert imbalance(members(9, 3)) is None


def test_even_requests_are_quiet() -> None:
    assert imbalance(members(1000, 1010, 990)) is None


def test_the_worst_member_is_named_with_its_deviation() -> None:
    found = imbalance(members(900, 300, 300))
    assert found is not None
    assert found.worst.name == "s1"
    assert found.expected == pytest.approx(500)
    assert found.deviation == pytest.approx(0.8)


@pytest.mark.parametrize(("requests", "fires"), [(199, False), (200, True)])
def test_a_hundred_requests_per_member_are_needed(requests: int, fires: bool) -> None:
    assert (imbalance(members(requests * 0.75, requests * 0.25)) is not None) is fires


@pytest.mark.parametrize(("off", "fires"), [(249, False), (250, True)])
def test_a_quarter_off_is_needed(off: int, fires: bool) -> None:
    assert (imbalance(members(1000 + off, 1000 - off)) is not None) is fires


def test_weights_are_what_is_expected() -> None:
    assert imbalance(members(900, 300, weights=(3, 1))) is None
    assert imbalance(members(600, 600, weights=(3, 1))) is not None


def test_a_member_of_weight_zero_is_left_out() -> None:
    assert imbalance(members(500, 500, 0, weights=(1, 1, 0))) is None


def test_a_fair_random_balancer_is_hardly_ever_named() -> None:
    draw = random.Random(7)
    named = 0
    for _ in range(500):
        counts = [0.0] * 5
        for _ in range(600):
            counts[draw.randrange(5)] += 1
        named += imbalance(members(*counts)) is not None
    assert named <= 1
