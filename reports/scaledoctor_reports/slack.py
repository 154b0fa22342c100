"""A message for a Slack webhook: the verdict, its causes and their first fix."""

from collections.abc import Iterator

from scaledoctor.sdk import Report, Style, report

CAUSES = 5
"""Causes that are told; Slack cuts a message near 13,000 characters."""


@report("slack")
def slack(report: Report, style: Style) -> str:
    """Blocks of plain text, within Slack's limits (header 150, section 3,000, 50 blocks)."""
    from scaledoctor_reports import _words as words
    from scaledoctor_reports._json import dumps
    from scaledoctor_reports.escape import line

    headline = f"scaledoctor: {words.HEADLINES[report.verdict.status]}"
    return dumps(
        {
            "text": line(f"{headline}: {report.verdict.sentence}", 500),
            "blocks": [
                {"type": "header", "text": _plain(headline, 150)},
                {"type": "section", "text": _plain(report.verdict.sentence, 1_500)},
                *_causes(report),
                {"type": "context", "elements": [_plain(_footer(report), 1_500)]},
            ],
        }
    )


def _causes(report: Report) -> Iterator[dict[str, object]]:
    from scaledoctor_reports import _words as words

    for number, diagnosis in enumerate(report.diagnoses[:CAUSES], 1):
        found = diagnosis.finding
        fix = f"\nFix: {found.fixes[0].title}" if found.fixes else ""
        text = f"{number}. {words.severity(found.severity)}: {found.summary}"
        yield {"type": "section", "text": _plain(text, 1_500, fix)}


def _footer(report: Report) -> str:
    more = len(report.diagnoses) - CAUSES
    hidden = f"{more} more causes; " if more > 0 else ""
    return f"{hidden}{report.tool} {report.version}, {report.started:%Y-%m-%d %H:%M:%S} UTC"


def _plain(text: str, width: int, more: str = "") -> dict[str, object]:
    from scaledoctor_reports.escape import line

    shown = line(text, width) + ("\n" + line(more, 300) if more else "")
    return {"type": "plain_text", "text": shown[:3_000] or "-", "emoji": False}
