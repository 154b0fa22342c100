"""The lab's cases, its table and its summary."""

import json
from dataclasses import asdict, replace

import pytest

from lab.__main__ import main
from lab.cases import cases
from lab.score import HEAD, Score, row, score, summary, table
from tests.demo.trials import tried

GOOD = Score(
    case="idle-in-transaction",
    seed=0,
    right=True,
    above=0,
    healthy=310.0,
    broken=4.0,
    mended=300.0,
    restored=300 / 310,
    scan_seconds=6.2,
    queries=34,
    busy_seconds=0.05,
)
WRONG = Score(case="hot-row", seed=1, right=False, problem="the cause is postgres.hot-row on items")
ALARM = Score(case="chatty", seed=0, control=True, false_alarms=("a",), problem="false alarm: a")
CALM = Score(case="idle", seed=0, control=True)
SKIPPED = Score(case="cpu-quota", seed=0, skipped="making a control group needs root")


def test_every_case_has_a_right_answer_or_is_a_control() -> None:
    """Names are unique and match, every fault names a known check, controls name none."""
    from scaledoctor.registry import load

    checks = load().checks
    found = cases()
    assert len(found) >= 16
    for name, fault in found.items():
        assert fault.name == name
        assert fault.story
        assert set(fault.checks) | set(fault.symptoms) <= set(checks), name
    assert sum(fault.healthy for fault in found.values()) >= 6


def test_a_score_is_read_off_a_trial() -> None:
    """Throughput before, during and after, the share that came back, and whether it passed."""
    good = score(tried())
    assert (good.healthy, good.broken, good.mended) == (300.0, 4.0, 295.0)
    assert good.restored == pytest.approx(295 / 300)
    assert (good.right, good.above, good.passed) == (True, 0, True)


def test_a_false_alarm_beside_the_right_cause_fails_the_case() -> None:
    """A second diagnosis that is neither the cause nor a symptom misleads."""
    both = score(replace(tried(), false_alarms=("host.steal",)))
    assert both.right
    assert both.problem == "also named: host.steal"


def test_a_row_tells_the_whole_case() -> None:
    """Cause, place, throughput and its share, and the cost of the scan."""
    assert dict(zip(HEAD, row(GOOD), strict=True)) == {
        "case": "idle-in-transaction",
        "seed": "0",
        "cause": "right",
        "above": "0",
        "false": "0",
        "healthy": "310/s",
        "broken": "4/s",
        "mended": "300/s",
        "restored": "97%",
        "scan": "6.2 s",
        "queries": "34",
        "busy": "50 ms",
        "result": "passed",
    }


def test_a_wrong_cause_a_missing_one_and_a_skip_are_told_apart() -> None:
    """A cause that was not seen at all has no place, a skipped case no figures."""
    wrong = dict(zip(HEAD, row(WRONG), strict=True))
    assert (wrong["cause"], wrong["above"], wrong["mended"]) == ("wrong", "-", "people")
    assert wrong["result"] == WRONG.problem
    skipped = dict(zip(HEAD, row(SKIPPED), strict=True))
    assert skipped["result"] == "skipped: making a control group needs root"
    assert skipped["healthy"] == ""


def test_the_table_is_aligned() -> None:
    """Every line has its columns at the same place."""
    head, first, *_ = table([GOOD, WRONG, ALARM, CALM, SKIPPED]).splitlines()
    assert head.index("result") == first.index("passed")
    assert head.index("cause") == first.index("right")


def test_the_summary_counts_causes_fixes_alarms_and_skips() -> None:
    """Skipped cases count nowhere else."""
    assert summary([GOOD, WRONG, ALARM, CALM, SKIPPED]) == (
        "1 of 2 causes named first; 1 fixes applied, at worst 97% of the traffic back; "
        "1 of 2 healthy systems with a false alarm; 2 of 4 passed, 1 skipped"
    )


def test_scores_are_plain_data() -> None:
    """What --json writes can be read back."""
    assert Score(**{**json.loads(json.dumps(asdict(GOOD))), "false_alarms": (), "applied": ()}) == (
        GOOD
    )


def test_an_unknown_case_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """It lists the cases and ends with the code for wrong usage."""
    assert main(["no-such-case"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("lab: no case 'no-such-case'; cases: idle-in-transaction")
    assert said.err.count("\n") == 1
    assert said.out == ""
