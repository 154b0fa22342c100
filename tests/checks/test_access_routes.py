"""Routes that keep workers busy: each threshold at its edge, and what the database has to do."""

from typing import Any

import pytest

from scaledoctor.sdk import Finding, Severity, Unavailable, Window
from scaledoctor.sources.access_log import AccessLog
from scaledoctor.sources.postgres import Activity
from scaledoctor_checks.app.access_log import heavy_route, offload_route, workers
from tests.checks.access_facts import heavy, log, route
from tests.checks.pg_facts import active, activity, waiting


def only(findings: Any) -> Finding:
    (finding,) = findings
    assert isinstance(finding, Finding)
    return finding


def test_a_healthy_log_is_quiet() -> None:
    healthy = log(route(), route("POST /login", 50), heavy("GET /reports/export", 5, 1.5))
    assert not list(offload_route(healthy, None))
    assert not list(heavy_route(healthy, None))


def test_busy_workers_are_time_over_span() -> None:
    use = workers(log(heavy(requests=40, mean=2.0), waited=250.0))
    assert use is not None
    assert (use.used, use.limit, use.waiting) == (0.8, None, 2.5)
    assert "upstream time in the last 100 s" in use.detail


def test_request_time_stands_in_for_upstream_time() -> None:
    use = workers(log(heavy(spent=0.0), upstream_timed=False, live=False))
    assert use is not None
    assert use.used == 0.8
    assert "request time in the 100 s of the log" in use.detail


@pytest.mark.parametrize("changes", [{"seconds": 0.0}, {"timed": False, "upstream_timed": False}])
def test_without_times_there_are_no_workers(changes: dict[str, Any]) -> None:
    assert workers(log(**changes)) is None


def test_a_report_in_the_request_is_to_be_moved() -> None:
    found = only(offload_route(log(route(), heavy()), None))
    assert found.subject == "GET /reports/export"
    assert found.severity is Severity.HIGH
    share = 80 / (80 + 10)
    assert found.explains["app.workers"] == pytest.approx(share)
    assert found.impact == pytest.approx(share * 0.8)
    assert "0.8 workers busy" in found.summary
    assert all(fix.commands and fix.risk and fix.verify and fix.undo for fix in found.fixes)


@pytest.mark.parametrize(("p95", "fires"), [(0.99, False), (1.0, True)])
def test_offload_needs_slow_requests(p95: float, fires: bool) -> None:
    assert bool(list(offload_route(log(heavy(spent_p95=p95)), None))) is fires


@pytest.mark.parametrize(("requests", "fires"), [(19, False), (20, True)])
def test_offload_needs_twenty_requests(requests: int, fires: bool) -> None:
    assert bool(list(offload_route(log(heavy(requests=requests, mean=4.0)), None))) is fires


@pytest.mark.parametrize(
    ("spent", "severity"),
    [(9.0, None), (49.0, None), (51.0, Severity.MEDIUM), (140.0, Severity.HIGH)],
)
def test_offload_grades_by_share_and_busy_workers(spent: float, severity: Severity | None) -> None:
    """Of 400 s of other work: a tenth and half a worker are medium, a quarter is high."""
    other = heavy("GET /", 40_000, 0.01)
    found = list(offload_route(log(other, heavy(spent=spent)), None))
    assert [f.severity for f in found] == ([severity] if severity else [])


def test_a_job_of_a_calm_application_is_low() -> None:
    """Most of the work, but half a worker is not kept busy by it."""
    found = only(offload_route(log(route(requests=100), heavy(requests=20, mean=2.0)), None))
    assert found.severity is Severity.LOW


@pytest.mark.parametrize(
    ("name", "is_job"),
    [("GET /reports/:id", True), ("POST /checkout", True), ("GET /admin/users-export", True),
     ("GET /images/:id/thumbnail", True), ("GET /search", False), ("GET /important", False),
     ("(other)", False), ("(no request)", False)],
)  # fmt: skip
def test_what_counts_as_a_job(name: str, is_job: bool) -> None:
    one = log(heavy(name, 100, 2.0))
    assert bool(list(offload_route(one, None))) is is_job
    assert bool(list(heavy_route(one, None))) is (not is_job and name.startswith("GET"))


@pytest.mark.parametrize(
    ("spent", "other", "fires"),
    [(99.0, 10.0, False), (100.0, 10.0, True), (100.0, 101.0, False), (100.0, 100.0, True)],
)
def test_a_heavy_page_has_half_of_all_work_and_a_worker(
    spent: float, other: float, fires: bool
) -> None:
    found = log(heavy("GET /search", 50, 2.0, spent=spent), route(spent=other))
    assert bool(list(heavy_route(found, None))) is fires


@pytest.mark.parametrize(("p95", "fires"), [(0.99, False), (1.0, True)])
def test_a_heavy_page_is_slow(p95: float, fires: bool) -> None:
    found = log(heavy("GET /search", 100, 2.0, spent_p95=p95))
    assert bool(list(heavy_route(found, None))) is fires


def busy_database(active_: int, blocked: int = 0) -> Window[Activity]:
    sessions = [*(active(i) for i in range(active_)),
                *(waiting(100 + i, 1) for i in range(blocked))]  # fmt: skip
    return Window.of(*[activity(*sessions)] * 4)


EXPORT = log(heavy(requests=200, mean=2.0))  # four busy workers
SEARCH = log(heavy("GET /search", 200, 2.0))


@pytest.mark.parametrize(("sessions", "low"), [(1, False), (2, True), (4, True)])
def test_where_the_database_works_for_the_workers_it_comes_first(sessions: int, low: bool) -> None:
    for found in (
        only(offload_route(EXPORT, busy_database(sessions))),
        only(heavy_route(SEARCH, busy_database(sessions))),
    ):
        assert (found.severity is Severity.LOW) is low
        assert ("the database works for" in found.summary) is low


def test_workers_that_wait_for_a_lock_are_a_symptom_of_it() -> None:
    found = only(offload_route(EXPORT, busy_database(0, blocked=3)))
    assert found.severity is Severity.HIGH
    assert found.waits_for == {"postgres.locks": 0.75}


def test_a_saved_log_is_of_another_time_than_the_database() -> None:
    saved: AccessLog = log(heavy(requests=200, mean=2.0), live=False)
    assert only(offload_route(saved, busy_database(4, blocked=4))).severity is Severity.HIGH


def test_without_times_nothing_can_be_said() -> None:
    blind = log(timed=False, upstream_timed=False, format="combined")
    for check in (offload_route, heavy_route):
        with pytest.raises(Unavailable, match=r"\(combined\) has no times"):
            list(check(blind, None))
