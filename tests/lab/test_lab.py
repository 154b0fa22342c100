"""Every fault and every control on real servers: ``pytest -m lab``."""

import pytest

from lab.cases import cases
from lab.score import score
from scaledoctor.demo.trial import trial
from tests.servers import needs_servers

pytestmark = [pytest.mark.lab, pytest.mark.live]


@pytest.mark.parametrize("name", cases())
def test_the_cause_is_named_and_its_fix_brings_the_traffic_back(name: str) -> None:
    """The right object first, nothing named on a healthy system, and the fix proves itself."""
    fault = cases()[name]
    if reason := fault.impossible():
        pytest.skip(reason)
    with needs_servers():
        found = score(trial(fault, 0))
    assert found.problem == "", found.verdict
