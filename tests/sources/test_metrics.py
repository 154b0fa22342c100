"""Prometheus' text format."""

import math

import pytest

from scaledoctor.errors import Unavailable
from scaledoctor.sources._metrics import samples


def read(text: str, *names: str) -> list[tuple[dict[str, str], float]]:
    return [(dict(s.labels), s.value) for s in samples(text, names)]


def test_labels_values_times_and_exemplars() -> None:
    text = """# HELP a Words.
# TYPE a counter
a 1
a{code="200",path="/x \\"y\\" \\\\ \\n"} 2.5e3 1795601374000
a{le="+Inf"} +Inf
a_total{x="1"} 7 # {trace_id="abc"} 0.5 1520879607.789
b NaN
"""
    assert read(text, "a") == [
        ({}, 1.0),
        ({"code": "200", "path": '/x "y" \\ \n'}, 2500.0),
        ({"le": "+Inf"}, math.inf),
    ]
    assert read(text, "a_total") == [({"x": "1"}, 7.0)]
    assert math.isnan(read(text, "b")[0][1])


def test_others_are_left_out() -> None:
    assert read("a_bucket 1\na 2\n", "a") == [({}, 2.0)]
    assert read("", "a") == []


@pytest.mark.parametrize("text", ["<html>", '{"a": 1}', "a", "a one", "ok 1\na{x=} x"])
def test_something_else_is_told(text: str) -> None:
    with pytest.raises(Unavailable, match="no metrics in Prometheus' text format"):
        read(text, "a")
