"""The demo as a story in the terminal: healthy, broken, named, mended, proved."""

import sys
import time
from difflib import get_close_matches

from scaledoctor.demo.faults import FAULTS
from scaledoctor.demo.load import LoadResult
from scaledoctor.demo.remedy import Applied
from scaledoctor.demo.trial import Trial, trial
from scaledoctor.errors import Exit, ScaledoctorError
from scaledoctor.registry import load
from scaledoctor.sdk import Style


def run_demo(fault: str, *, seed: int, color: bool, width: int, unicode: bool) -> int:
    """Break a real shop, scan it, apply the report's fix, and show what it brought.

    Returns 0 when the cause was named and the traffic is back, 1 otherwise. The story goes to
    stdout, progress to stderr.

    Raises:
        ScaledoctorError: an unknown fault, or no PostgreSQL to start.
    """
    if fault not in FAULTS:
        near = get_close_matches(fault, FAULTS, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ScaledoctorError(f"no fault {fault!r}", f"{hint}faults: {', '.join(FAULTS)}")
    style = Style(color=color, width=width, unicode=unicode)
    began = time.monotonic()

    def tell(text: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - began:4.1f} s] {text}\n")
        sys.stderr.flush()

    found = trial(FAULTS[fault], seed, tell=tell, shown=lambda t: _broken(t, style))
    _proof(found, style)
    return Exit.FINDINGS if found.problem else Exit.OK


def _broken(found: Trial, style: Style) -> None:
    """What was done to the shop, and the report."""
    before, during = found.before.throughput, found.during.throughput
    say = sys.stdout.write
    say(f"\nThe shop serves {before:.0f} requests/s. Then {found.fault.story}.\n")
    say(f"Now it serves {during:.0f}. This is what scaledoctor sees:\n\n")
    say(load().renderers["terminal"](found.report, style))
    sys.stdout.flush()


def _proof(found: Trial, style: Style) -> None:
    """What was applied; before, during and after as bars; and one sentence."""
    say = sys.stdout.write
    if found.applied:
        some = any(not command.problem for command in found.applied)
        say(f"\n{'Applied' if some else 'Left to people'}, as the report says:\n")
        say("".join(f"    {_done(command)}\n" for command in found.applied))
    rows = [("healthy", found.before), ("broken", found.during)]
    if found.after is not None:
        rows.append(("mended", found.after))
    if not found.fault.healthy:
        say("\n" + bars(rows, style))
    say(f"\n{sentence(found)}\n")


def _done(applied: Applied) -> str:
    return applied.command + (f"   (not done: {applied.problem})" if applied.problem else "")


def bars(rows: list[tuple[str, LoadResult]], style: Style) -> str:
    """Throughput as bars, with the 95th percentile of latency and the failed requests."""
    full, empty = ("█", "░") if style.unicode else ("#", ".")
    most = max(*(result.throughput for _, result in rows), 1.0)
    width = max(10, min(40, style.width - 52))
    lines: list[str] = []
    for name, result in rows:
        cells = round(result.throughput / most * width)
        bar = full * cells + empty * (width - cells)
        failed = sum(result.errors.values())
        late = f"p95 {result.p95_ms:6.1f} ms" if result.ok else "none answered"
        lines.append(f"{name:8}{bar} {result.throughput:5.0f} /s  {late}  {failed:3} failed\n")
    return "".join(lines)


def sentence(found: Trial) -> str:
    """What the demo proved, or what went wrong."""
    if found.problem:
        return f"Wrong: {found.problem}."
    if found.fault.healthy:
        return "Right: nothing is wrong, and nothing was named."
    if found.restored is None:
        return "Right: the cause was named; its fix is for people."
    if found.waiting:
        before, after = found.waiting
        return (
            f"Right: the cause was named; with its fix {after:,} jobs wait instead of {before:,}."
        )
    share = f"{found.restored:.0%} of the traffic back"
    return f"Right: the cause was named, and its fix brought {share}."
