"""Every format with 5,000 findings: CPU seconds and bytes, and a browser's time for the HTML.

A fifth are causes and their symptoms, the rest risks and minor ones, each with evidence, a fix and
a subject of its own. Beside them stands a tenth of them: cost may grow no faster than findings do.

    ./run python -m benchmarks.render [FINDINGS]
"""

import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from scaledoctor.model import Finding, Kind, Severity
from scaledoctor.registry import load
from scaledoctor.report import Diagnosis, Report
from scaledoctor.sdk import Renderer, Style
from tests import samples

STYLE = Style(width=120, verbosity=2)
EMPTY = "<!doctype html><title>empty</title><p>empty"


def finding(number: int) -> Finding:
    """One of many."""
    return replace(samples.holder(), subject=f"application shop-{number}, public.orders_{number}")


def report(count: int) -> Report:
    """A report with that many findings."""
    found = [finding(number) for number in range(count)]
    live, rest = found[: count // 5], found[count // 5 :]
    minor = tuple(replace(f, severity=Severity.LOW) for f in rest[::2])
    return replace(
        samples.bottleneck(),
        diagnoses=tuple(
            Diagnosis(root, root.fingerprint, 0.5, symptoms=tuple(live[i + 1 : i + 10]))
            for i, root in enumerate(live)
            if i % 10 == 0
        ),
        minor=minor,
        risks=tuple(replace(f, kind=Kind.RISK) for f in rest[1::2]),
        blind_spots=(),
    )


def picture(page: Path) -> float:
    """Seconds of a headless browser from its start to a picture of the page; the best of three."""
    program = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if program is None:
        return float("nan")
    taken: list[float] = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run(
            [program, "--no-sandbox", "--disable-gpu", f"--screenshot={page}.png", page.as_uri()],
            capture_output=True,
            check=True,
            timeout=120,
        )
        taken.append(time.perf_counter() - began)
    return min(taken)


def cost(renderer: Renderer, found: Report) -> tuple[float, str]:
    """CPU seconds of one rendering, the second one, and its text."""
    renderer(found, STYLE)
    began = time.process_time()
    text = renderer(found, STYLE)
    return time.process_time() - began, text


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    many, few = report(count), report(count // 10)
    renderers = load().renderers
    print(f"{'format':12} {'CPU s':>6} {'MB':>6}   beside {count // 10} findings")
    for name, renderer in sorted(renderers.items()):
        seconds, text = cost(renderer, many)
        before, short = cost(renderer, few)
        size, least = (len(t.encode(errors="backslashreplace")) for t in (text, short))
        times = f"x{seconds / max(before, 1e-6):.1f} CPU, x{size / least:.1f} bytes"
        print(f"{name:12} {seconds:6.2f} {size / 1e6:6.2f}   {times}")
    with tempfile.TemporaryDirectory() as folder:
        pages = {"the HTML": renderers["html"](many, STYLE), "an empty page": EMPTY}
        for name, text in pages.items():
            page = Path(folder, "page.html")
            page.write_text(text, encoding="utf-8")
            print(f"a browser's picture of {name}: {picture(page):.2f} s")


if __name__ == "__main__":
    main()
