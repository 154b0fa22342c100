"""Judging a trial, telling its story, and one whole trial on a real shop."""

from dataclasses import replace

import pytest

from scaledoctor.demo.faults import FAULTS
from scaledoctor.demo.show import bars, run_demo, sentence
from scaledoctor.demo.trial import Trial, false_alarms, names, trial
from scaledoctor.errors import ScaledoctorError
from scaledoctor.model import Finding, Severity
from scaledoctor.sdk import Style
from tests.demo.trials import IDLE, load, tried
from tests.servers import postgres_binaries


def finding(check: str, subject: str, summary: str = "") -> Finding:
    """A finding of that check about that object."""
    return Finding(subject, summary, Severity.HIGH, check=check)


def test_the_cause_is_named_by_its_check_and_its_object() -> None:
    """Another check, or the right check with another object, is not the cause."""
    right = finding("postgres.idle-in-transaction", "billing-worker")
    assert names(IDLE, "billing-worker", right)
    assert names(IDLE, "billing-worker", replace(right, subject="x", summary="billing_worker did"))
    assert not names(IDLE, "billing-worker", replace(right, check="postgres.hot-row"))
    assert not names(IDLE, "billing-worker", replace(right, subject="reports"))


def test_a_false_alarm_is_neither_the_cause_nor_an_accepted_symptom() -> None:
    """Roots beside the injected one count, unless the fault expects them."""
    roots = [
        finding("postgres.idle-in-transaction", "billing-worker"),
        finding("postgres.connection-hog", "shop-web"),
        finding("host.cpu-other-process", "ffmpeg"),
    ]
    assert false_alarms(IDLE, roots) == ("host.cpu-other-process",)
    assert false_alarms(FAULTS["healthy"], roots[:1]) == ("postgres.idle-in-transaction",)


def test_a_trial_passes_when_the_cause_is_first_and_the_traffic_is_back() -> None:
    """And it says what share came back."""
    good = tried()
    assert good.problem == ""
    assert good.restored == pytest.approx(295 / 300)
    assert sentence(good) == (
        "Right: the cause was named, and its fix brought 98% of the traffic back."
    )


@pytest.mark.parametrize(
    ("failed", "why"),
    [
        (replace(tried(), rank=2), "the cause is postgres.idle-in-transaction on billing-worker"),
        (replace(tried(), rank=None), "the cause is postgres.idle-in-transaction"),
        (tried(after=200.0), "the fix brought only 67% of the traffic back"),
        (tried(after=None), "the report's first fix could not be carried out"),
        (tried(during=290.0), "the fault did not bite: 97% of the traffic was left"),
        (
            replace(tried(FAULTS["healthy"]), false_alarms=("postgres.hot-row",)),
            "false alarm: postgres.hot-row",
        ),
    ],
)
def test_a_trial_says_why_it_failed(failed: Trial, why: str) -> None:
    """A wrong cause, a weak fix, a fault without effect and a false alarm all fail."""
    assert why in failed.problem
    assert sentence(failed).startswith("Wrong: ")


def test_a_fix_for_people_needs_only_the_right_cause() -> None:
    """Where no program can apply the fix, nothing has to come back."""
    people = tried(replace(IDLE, bar=None), after=None)
    assert people.problem == ""
    assert sentence(people) == "Right: the cause was named; its fix is for people."


def test_jobs_that_wait_must_get_fewer() -> None:
    """The traffic never suffered: what counts is that the backlog is worked off."""
    drains = replace(tried(), waiting=(395, 310))
    assert drains.problem == ""
    assert sentence(drains) == (
        "Right: the cause was named; with its fix 310 jobs wait instead of 395."
    )
    grows = replace(tried(), waiting=(395, 395))
    assert grows.problem == "395 jobs waited before the fix, 395 wait after it"


def test_bars_are_in_proportion_and_say_what_failed() -> None:
    """The highest throughput fills the bar; ASCII on demand; no latency without a reply."""
    none = replace(load(0.0), ok=0, errors={"503": 7})
    text = bars([("healthy", load(300.0)), ("broken", none)], Style(width=100, unicode=False))
    first, second = text.splitlines()
    assert first.count("#") == 40
    assert "300 /s" in first
    assert "p95    2.0 ms" in first
    assert second.count("#") == 0
    assert "none answered" in second
    assert "7 failed" in second
    assert text.isascii()


def test_an_unknown_fault_is_one_line_with_the_nearest_name() -> None:
    """Nothing is started for it."""
    with pytest.raises(ScaledoctorError, match=r"did you mean ddl-queue.* healthy"):
        run_demo("ddl-que", seed=0, color=False, width=80, unicode=True)


@pytest.mark.live
@pytest.mark.parametrize("major", [pytest.param(15, marks=pytest.mark.slow), 18])
def test_an_idle_transaction_is_named_and_its_fix_brings_the_traffic_back(major: int) -> None:
    """From the healthy shop to the proof, with drawn names, on both versions."""
    bindir = postgres_binaries(major).bindir
    said: list[str] = []
    found = trial(replace(IDLE, settle=2.0), 5, window=3.0, bindir=bindir, tell=said.append)
    assert found.problem == ""
    assert found.report.diagnoses[0].finding.subject == found.subject
    assert [one.problem for one in found.applied] == [""]
    assert found.during.throughput < 0.5 * found.before.throughput
    assert any("applying the fix that the report names" in line for line in said)


def test_the_help_lists_every_fault() -> None:
    """In the order in which an unknown one lists them."""
    from scaledoctor.cli.demo import demo

    assert demo.__doc__ is not None
    listed = [line.split()[0] for line in demo.__doc__.splitlines() if line.startswith("      ")]
    assert listed == list(FAULTS)
