"""Causes in HTML: the chain as a diagram, evidence as a table, fixes to copy."""

from collections.abc import Iterator

from scaledoctor.model import Evidence, Finding, Fix
from scaledoctor.report import Diagnosis
from scaledoctor_reports import _words as words
from scaledoctor_reports.escape import html as inert
from scaledoctor_reports.escape import html_code


def chain(diagnosis: Diagnosis) -> Iterator[str]:
    """From the symptom down to the root, each box with its measured share of the one above."""
    hops = diagnosis.chain
    if len(hops) < 2:
        return
    yield '<ol class="chain" aria-label="From the symptom down to the root cause">'
    for hop in hops[:-1]:
        yield f"<li{_share(hop.share)}>{inert(hop.text)}</li>"
    root = inert(diagnosis.finding.subject)
    yield f"<li{_share(hops[-1].share)}>root cause: {root}</li>\n</ol>"


def _share(share: float | None) -> str:
    return f' data-share="{share:.0%} of it"' if share is not None else ' data-share="because of"'


def cause(number: int, diagnosis: Diagnosis, told: str) -> Iterator[str]:
    """One root cause with its symptoms."""
    found = diagnosis.finding
    yield "<article>"
    yield _heading(found, f"{number}. ")
    if found.summary != told:
        yield f"<p>{inert(found.summary)}</p>"
    impact = f", impact {found.impact:.0%}" if found.impact else ""
    yield (
        f'<p class="soft">{inert(found.check)} on {inert(found.target)}{impact}, confidence '
        f"{words.confidence(found.confidence)}, fingerprint {found.fingerprint}</p>"
    )
    if number > 1:
        yield from chain(diagnosis)
    yield from _evidence(found.evidence)
    yield from _plan(found.plan)
    for fix in found.fixes:
        yield from _fix(fix, "h4")
    for symptom in diagnosis.symptoms:
        yield f"<details><summary>Symptom: {inert(symptom.summary)}</summary>"
        yield from _evidence(symptom.evidence)
        yield from _plan(symptom.plan)
        for fix in symptom.fixes:
            yield from _fix(fix, "h4")
        yield "</details>"
    yield "</article>"


def finding(found: Finding) -> Iterator[str]:
    """A finding that is no cause: one line, the rest on demand."""
    grade = words.severity(found.severity)
    yield (
        f'<details><summary><span class="word {grade.lower()}">{grade}</span> '
        f'{inert(found.summary)} <span class="soft">{inert(found.check)}</span></summary>'
    )
    yield from _evidence(found.evidence)
    yield from _plan(found.plan)
    for fix in found.fixes:
        yield from _fix(fix, "h3")
    yield "</details>"


def _heading(found: Finding, lead: str) -> str:
    grade = words.severity(found.severity)
    word = f'<span class="word {grade.lower()}">{grade}</span>'
    return f"<h3>{lead}{word}: {inert(found.subject, 300)}</h3>"


def _evidence(evidence: tuple[Evidence, ...]) -> Iterator[str]:
    if not evidence:
        return
    yield '<div class="scroll"><table class="evidence"><thead><tr>'
    yield from (f'<th scope="col">{name}</th>' for name in ("fact", "value", "limit", "source"))
    yield "</tr></thead><tbody>"
    for item in evidence:
        limit, source = inert(words.threshold(item)), inert(item.source)
        yield (
            f"<tr><td>{inert(item.fact)}</td><td>{inert(words.value(item))}</td>"
            f'<td data-head="limit">{limit}</td><td data-head="source">{source}</td></tr>'
        )
    yield "</tbody></table></div>"


def _plan(drawn: str) -> Iterator[str]:
    """The plan's tree as it is drawn: rows that are not wrapped, for they stand in columns."""
    if drawn:
        yield "<details><summary>Its plan</summary>"
        yield f'<pre class="plan" tabindex="0"><code>{html_code(drawn)}</code></pre></details>'


def _fix(fix: Fix, level: str) -> Iterator[str]:
    """Its title as a heading of the level below what it mends."""
    yield f"<{level}>Fix: {inert(fix.title)}</{level}>"
    code = html_code("\n".join(fix.commands))
    yield f'<div class="fix"><pre tabindex="0"><code>{code}</code></pre></div>'
    told = (("Risk", fix.risk), ("Verify", fix.verify), ("Undo", fix.undo))
    lines = [f"<dt>{label}</dt><dd>{inert(text)}</dd>" for label, text in told if text]
    if lines:
        yield f"<dl>{''.join(lines)}</dl>"
