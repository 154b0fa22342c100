"""The HTML report: one request, no error, nothing of a name becomes markup."""

import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from scaledoctor.report import Report
from scaledoctor.sdk import Style
from scaledoctor_reports.html import html
from tests import samples
from tests.reports.test_hostile import TEXTS, hidden
from tests.servers import missing

SAMPLES = [samples.bottleneck, samples.healthy, samples.partial, samples.hostile]
VOID = {"meta", "br", "rect", "path", "circle", "polyline"}


class Parser(HTMLParser):
    """Elements with their attributes, and whether every one is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize("sample", SAMPLES)
def test_elements_are_closed_and_ask_for_nothing(sample: Callable[[], Report]) -> None:
    """Well formed; no attribute that loads, links, runs or styles."""
    parser = Parser(html(sample(), Style()))
    assert parser.open == []
    names = {name for _, attributes in parser.tags for name in attributes}
    assert not names & {"src", "href", "srcset", "style", "action", "data", "poster"}
    assert not any(name.startswith("on") for name in names)
    assert [tag for tag, _ in parser.tags].count("script") == 1


@pytest.mark.parametrize("text", [text for text in TEXTS if text.strip()])
def test_hostile_text_makes_no_element(text: str) -> None:
    """The same elements as with harmless text, and no control character."""
    out = html(samples.hostile(text), Style())
    assert hidden(out) == set()
    wanted = Parser(html(samples.hostile("harmless"), Style())).tags
    assert [tag for tag, _ in Parser(out).tags] == [tag for tag, _ in wanted]


def test_the_policy_names_its_own_style_and_script() -> None:
    """By hash; a changed file would be refused by the browser, so the hashes are of the text."""
    import base64
    import hashlib

    out = html(samples.healthy(), Style())
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', out)[0]
    for tag in ("style", "script"):
        text = re.findall(f"<{tag}>(.*?)</{tag}>", out, re.S)[0]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")


def test_everything_of_the_report_is_there() -> None:
    """Verdict, chain, evidence, fixes, headroom, risks, blind spots, skips and crashes."""
    out = html(samples.bottleneck(), Style())
    for words in (
        "17 of 19 sessions wait", "94% of it", "pg_terminate_backend", "full now",
        "track_io_timing", "VACUUM (FREEZE)", "Ruled out", "12 values masked",
    ):  # fmt: skip
        assert words in out, words
    partial = html(samples.partial(), Style())
    for words in ("connection refused", "GRANT pg_monitor TO shop;", "acme.queue-depth"):
        assert words in partial, words


def served(text: str, around: str = "") -> tuple[HTTPServer, list[str]]:
    """A server of one page, and the paths that are asked for; ``around`` is what / gives."""
    asked: list[str] = []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write((around if self.path == "/" else text).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its own name
            """Keep quiet."""

    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, asked


def browser() -> str:
    """A Chromium; the test is skipped, or fails where it must not be, without one."""
    program = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if program is None:
        missing("no Chromium (apt-get install chromium-headless-shell)")
    return program


FRAMES = """<!doctype html><title></title><body><script>
for (const width of [320, 360, 768, 1400]) {
  const frame = document.createElement("iframe");
  frame.style.width = `${width}px`;
  frame.src = "/report.html";
  frame.onload = () => {
    const page = frame.contentDocument.documentElement;
    document.title += ` ${width}:${page.scrollWidth > page.clientWidth ? "scrolls" : "fits"}`;
  };
  document.body.append(frame);
}
</script>"""


@pytest.mark.slow
@pytest.mark.parametrize("sample", SAMPLES)
def test_no_screen_is_too_narrow(sample: Callable[[], Report], tmp_path: Path) -> None:
    """From a small telephone on the page never scrolls sideways, whatever the names are."""
    server, _ = served(html(sample(), Style()), FRAMES)
    command = [browser(), "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
               "--virtual-time-budget=20000", "--dump-dom",
               f"http://127.0.0.1:{server.server_port}/"]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    finally:
        server.shutdown()
        server.server_close()
    found = re.findall("<title>(.*?)</title>", done.stdout)[0].split()
    assert sorted(found) == ["1400:fits", "320:fits", "360:fits", "768:fits"]


@pytest.mark.slow
@pytest.mark.parametrize("sample", [samples.bottleneck, samples.hostile])
def test_a_browser_shows_it_without_a_word(sample: Callable[[], Report], tmp_path: Path) -> None:
    """In a real Chromium: one request, nothing on the console, the script has run, a picture."""
    server, asked = served(html(sample(), Style()))
    common = [browser(), "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
              f"--user-data-dir={tmp_path}"]  # fmt: skip
    url = f"http://127.0.0.1:{server.server_port}/report.html"
    try:
        done = subprocess.run(
            [*common, "--dump-dom", url], capture_output=True, text=True, timeout=60, check=True
        )
        picture = tmp_path / "page.png"
        subprocess.run(
            [*common, f"--screenshot={picture}", url], capture_output=True, timeout=60, check=True
        )
    finally:
        server.shutdown()
        server.server_close()
    assert "CONSOLE" not in done.stderr
    assert '<button type="button">Copy</button>' in done.stdout, "the script was allowed to run"
    assert set(asked) == {"/report.html"}
    assert len(asked) == 2, "one for the text, one for the picture"
    assert picture.stat().st_size > 10_000
