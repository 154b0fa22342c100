"""The report for people at a terminal."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.cells import cell_len

from scaledoctor.model import State, Step
from scaledoctor.report import Report
from scaledoctor.sdk import Style
from scaledoctor_reports.terminal import terminal
from tests import samples

SAMPLES = [samples.bottleneck, samples.healthy, samples.partial]


def commands(report: Report) -> set[str]:
    """Every line that is meant for copying, and so may be longer than the screen."""
    found: list[str] = []
    for finding in report.findings:
        for fix in finding.fixes:
            found += [*fix.commands, fix.verify, fix.undo]
    found += [s.enable for s in report.skipped] + [f.traceback for f in report.errored]
    return {row.strip() for text in found for row in text.split("\n")}


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("width", [40, 80, 160, 200])
@pytest.mark.parametrize("verbosity", [-1, 0, 1, 2])
def test_every_line_fits(sample: Callable[[], Report], width: int, verbosity: int) -> None:
    """Nothing but a command is wider than the screen; no line ends in a blank."""
    report = sample()
    out = terminal(report, Style(width=width, verbosity=verbosity))
    wide = [row for row in out.splitlines() if cell_len(row) > width]
    assert {row.strip() for row in wide} <= commands(report)
    assert all(row == row.rstrip() for row in out.splitlines())


def test_the_first_ten_lines_say_what_why_and_what_to_do() -> None:
    """Verdict with its confidence, the chain down to the root, the first fix by name."""
    head = "\n".join(terminal(samples.bottleneck(), Style()).splitlines()[:10])
    for text in ("✗ BOTTLENECK", "confidence high", "17 of 19 sessions wait", "root cause:",
                 "89% of it: postgres.locks", "Do now (step 3, pool connections)"):  # fmt: skip
        assert text in head


def test_the_order_is_what_the_reader_needs_first() -> None:
    """Verdict, causes with symptoms, fix path, headroom, risks, blind spots, the rest."""
    report = samples.bottleneck()
    report = replace(report, skipped=samples.partial().skipped, errored=samples.partial().errored)
    out = terminal(report, Style())
    marks = ("BOTTLENECK", "Symptom:", "── Causes", "symptom: 17.0", "2 ✗ MEDIUM", "── Fix path",
             "── Headroom", "── Risks", "── Blind", "── Ruled out", "── Could not be seen",
             "── Crashed", "scaledoctor 0.1.0")  # fmt: skip
    places = [out.index(mark) for mark in marks]
    assert places == sorted(places)


@pytest.mark.parametrize("width", [40, 80, 160])
def test_commands_can_be_copied(width: int) -> None:
    """Each line of a command stands whole on a line of its own, after blanks only."""
    report = samples.bottleneck()
    rows = terminal(report, Style(width=width, verbosity=1)).splitlines()
    for finding in (report.diagnoses[0].finding, report.diagnoses[1].finding):
        for fix in finding.fixes:
            for line in fix.commands[0].split("\n"):
                assert any(row.endswith(line) and row.strip() == line.strip() for row in rows)


def test_the_fix_path_marks_the_roots_step_and_later_work() -> None:
    """Now for the root, next for other causes, later for risks."""
    report = samples.bottleneck()
    offload = replace(report.risks[0], step=Step.OFFLOAD)
    out = terminal(replace(report, risks=(offload,)), Style())
    assert "✓ 1 Identify the bottleneck: done" in out
    assert "▶ 3 Pool connections: now, End the transaction" in out
    assert "  4 Offload heavy work to a queue: later, Freeze it" in out
    assert "· 5 Tighten queries and caching: next, Index" in out
    assert "Then measure again" in out


def test_a_bottleneck_without_a_cause_keeps_the_reader_at_step_one() -> None:
    """Identification is not done when nobody was found."""
    out = terminal(replace(samples.bottleneck(), diagnoses=()), Style())
    assert "▶ 1 Identify the bottleneck: now" in out


def test_headroom_names_states_in_words_and_what_fills_first() -> None:
    """Symbol and word, used of limit, who waits, the multiple; then one sentence."""
    out = terminal(samples.bottleneck(), Style(width=120))
    assert "✗ saturated postgres.connections" in out
    assert "19 of 20 connections, 3.2 waiting" in out
    assert "full at x1.3" in out
    assert "host.cpu is the next to fill up, at 1.3 times this traffic (now 78%)." in out
    assert "40 MB/s, no known limit" in out


def part(out: str) -> str:
    """The headroom alone."""
    return out[out.index("── Headroom") : out.index("── Risks")]


@pytest.mark.parametrize(("length", "stacked"), [(23, False), (24, True)])
def test_a_long_name_gets_lines_of_its_own(length: int, stacked: bool) -> None:
    """At 80 columns 16 are left for what is used; one letter more, and each has two lines."""
    row = samples.row("a" * length, 1.0, 20.0, "clients", State.OK)
    report = replace(samples.bottleneck(), headroom=(samples.bottleneck().headroom[0], row))
    out = part(terminal(report, Style()))
    assert (f"\n  {row.resource}: 1 of 20 clients\n" in out) is stacked


@pytest.mark.parametrize(("width", "stacked"), [(120, True), (151, True), (152, False)])
def test_a_wide_terminal_gives_a_long_name_its_row(width: int, stacked: bool) -> None:
    """More columns than other tables have are taken only where they save a stack."""
    row = samples.row("a" * 90, 1.0, 20.0, "clients", State.OK)
    out = part(terminal(replace(samples.bottleneck(), headroom=(row,)), Style(width=width)))
    assert (f"\n  {row.resource}: 1 of 20 clients\n" in out) is stacked


@pytest.mark.parametrize("width", [40, 50, 60])
def test_every_resource_is_named_on_a_narrow_screen(width: int) -> None:
    """And no column is a letter wide."""
    report = samples.bottleneck()
    out = part(terminal(report, Style(width=width)))
    for row in report.headroom:
        assert f"\n  {row.resource}: " in out
    assert min(len(line) for line in out.strip().splitlines()) > 8


def test_refused_work_and_a_full_bar() -> None:
    """Errors are counted in words; a use beyond its limit fills the bar and no more."""
    full = samples.row("a.pool", 30.0, 20.0, "clients", State.SATURATED, errors=4.0)
    out = terminal(replace(samples.healthy(), headroom=(full,)), Style(unicode=False))
    assert "x saturated a.pool ######## 150% 30 of 20 clients, 4 refused" in out


def test_quiet_is_the_verdict_and_a_line_per_finding() -> None:
    """Nothing else."""
    out = terminal(samples.bottleneck(), Style(width=200, verbosity=-1)).splitlines()
    assert out[0].startswith("━━ ✗ BOTTLENECK")
    assert [row.split()[:2] for row in out[2:]] == [
        ["✗", "CRITICAL"], ["✗", "MEDIUM"], ["!", "MEDIUM"], ["!", "INFO"],
    ]  # fmt: skip


def test_verbosity_opens_up_step_by_step() -> None:
    """Default counts what it hides; -v shows minor findings and all fixes; -vv also ids."""
    report = replace(samples.bottleneck(), errored=samples.partial().errored)
    default, more, most = (terminal(report, Style(verbosity=v)) for v in (0, 1, 2))
    assert "3 minor hidden: -v" in default
    assert "1 more way to fix it: -v" in default
    assert "unused indexes" not in default
    for text in ("public.users has 4 unused indexes", "ALTER ROLE shop SET", "VACUUM (FREEZE)"):
        assert text in more
    assert "hidden" not in more
    assert "Traceback" not in more
    for text in ("Traceback", "symptom, postgres.lock-queue", "212 readings in 0.41 s",
                 f"fingerprint {report.verdict.finding}"):  # fmt: skip
        assert text in most.replace("\n  ", " ")


def test_healthy_is_short_and_calm() -> None:
    """No fix path, nothing to do, what fills up first; risks are mentioned when there are any."""
    out = terminal(samples.healthy(), Style())
    assert "No bottleneck; postgres.connections fills up first" in " ".join(out.split())
    assert "Nothing needs to be done now." in out
    assert "Fix path" not in out
    assert len(out.splitlines()) < 20
    risky = replace(samples.healthy(), risks=samples.bottleneck().risks)
    assert "Nothing is urgent; 1 risk for a quiet day below." in terminal(risky, Style())


def test_what_was_not_seen_is_never_passed_over() -> None:
    """Refused targets, skips by reason with their remedy, crashes; one shot has no rates."""
    out = terminal(samples.partial(), Style())
    assert out.count("one shot: no rates") == 2
    assert "✗ redis:cache at db-1:5432/shop: connection refused" in out
    assert "postgres.statement-share, postgres.n-plus-one" in out
    assert "\n    CREATE EXTENSION pg_stat_statements;\n" in out
    assert "acme.queue-depth on postgres:shop: ZeroDivisionError" in out
    assert "tracebacks: -vv" in out


def test_the_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A renderer is pure: only the style counts."""
    wanted = terminal(samples.bottleneck(), Style(color=True, width=90))
    for name, value in (("TERM", "dumb"), ("NO_COLOR", "1"), ("COLUMNS", "33")):
        monkeypatch.setenv(name, value)
    assert terminal(samples.bottleneck(), Style(color=True, width=90)) == wanted
    assert "\x1b[" in wanted
