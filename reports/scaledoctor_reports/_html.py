"""From a Report to one HTML file: a frame that allows no request, and the sections in it."""

import base64
import hashlib
from collections.abc import Iterator
from importlib.resources import files

from scaledoctor.report import Report, Status
from scaledoctor_reports import _words as words
from scaledoctor_reports._html_cause import cause, chain, finding
from scaledoctor_reports._html_charts import charts
from scaledoctor_reports._html_tables import gate, headroom
from scaledoctor_reports.escape import html as inert


def render(report: Report) -> str:
    """Return the document. Its policy allows its own style and script by hash, nothing else."""
    style, script = _asset("_html.css"), _asset("_html.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    title = f"scaledoctor: {words.HEADLINES[report.verdict.status]}"
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{inert(title)}</title>\n<style>{style}</style>\n</head>",
            f'<body class="{report.verdict.status.value}">\n<main>',
            *_sections(report),
            f"</main>\n<script>{script}</script>\n</body>\n</html>\n",
        )
    )


def _sections(report: Report) -> Iterator[str]:
    verdict = report.verdict
    yield f"<h1>{words.HEADLINES[verdict.status]}</h1>"
    yield f'<p class="verdict">{inert(words.sentence(verdict.sentence))}</p>'
    when = f"{report.started:%Y-%m-%d %H:%M:%S} UTC, {words.scanned(report)}"
    yield f'<p class="soft">Confidence {words.confidence(verdict.confidence)}. {when}.</p>'
    if verdict.status is Status.HEALTHY:
        yield f"<p>{inert(words.calm(report))}</p>"
    if report.diagnoses:
        yield from chain(report.diagnoses[0])
        yield "<h2>Causes</h2>" if len(report.diagnoses) > 1 else "<h2>Cause</h2>"
    for number, diagnosis in enumerate(report.diagnoses, 1):
        yield from cause(number, diagnosis, told=verdict.sentence)
    if verdict.status is Status.BOTTLENECK:
        yield from _fix_path(report)
    yield from gate(report)
    yield from headroom(report)
    yield from charts(report.charts)
    for heading, found in (
        ("Risks, not urgent now", report.risks),
        ("Minor", report.minor),
        ("Blind spots", report.blind_spots),
    ):
        if found:
            yield f"<h2>{heading}</h2>"
            yield from (part for item in found for part in finding(item))
    yield from _list("Ruled out", map(inert, report.ruled_out))
    yield from _list("Could not be seen (skipped is not ok)", _unseen(report))
    yield from _list("Crashed (a fault of the plug-in, not of your system)", _crashes(report))
    yield from _list("Suppressed by the configuration", _suppressed(report))
    yield from _list("About the configuration", map(inert, report.notices))
    yield _footer(report)


def _fix_path(report: Report) -> Iterator[str]:
    yield '<h2>Fix path</h2>\n<ol class="steps">'
    for stage in words.fix_path(report):
        word = stage.word or "nothing found"
        work = f", {inert(stage.work)}" if stage.work else ""
        name = words.STEPS[stage.step].capitalize()
        yield f'<li>{name}: <span class="{stage.word or "soft"}">{word}</span>{work}</li>'
    yield f"<li>{words.AGAIN.capitalize()}</li>\n</ol>"


def _list(heading: str, items: Iterator[str]) -> Iterator[str]:
    """A section of items that are already inert; nothing without any."""
    lines = [f"<li>{item}</li>" for item in items]
    if lines:
        yield f"<h2>{heading}</h2>\n<ul>"
        yield from lines
        yield "</ul>"


def _unseen(report: Report) -> Iterator[str]:
    for target in report.targets:
        if not target.ok:
            yield f"{inert(target.name)} at {inert(target.address)}: {inert(target.message)}"
    for group in words.unseen(report):
        where = f" on {inert(group.target)}" if group.target else ""
        enable = f"<br>To enable: <code>{inert(group.enable)}</code>" if group.enable else ""
        names = ", ".join(map(inert, group.what))
        yield f'{inert(group.reason)}{where}; <span class="soft">skipped: {names}</span>{enable}'


def _crashes(report: Report) -> Iterator[str]:
    for failure in report.errored:
        where = f" on {inert(failure.target)}" if failure.target else ""
        yield f"{inert(failure.what)}{where}: {inert(failure.error)}"


def _suppressed(report: Report) -> Iterator[str]:
    for item in report.suppressed:
        until = f" until {item.until}" if item.until else ""
        found = f"{inert(item.finding.check)}: {inert(item.finding.subject)}"
        yield f"{found}{until}: {inert(item.reason)}"


def _footer(report: Report) -> str:
    seen = ", ".join(inert(target.name) for target in report.targets if target.ok)
    return (
        f"<footer>{inert(report.tool)} {inert(report.version)}, run {inert(report.run)}, took "
        f"{report.seconds:.1f} s, saw {seen or 'nothing'}, {inert(words.masked(report))}.</footer>"
    )


def _asset(name: str) -> str:
    return (files("scaledoctor_reports") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"sha256-{digest}"
