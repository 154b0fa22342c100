"""Text from outside is inert in every format, wherever it stands."""

import json
import re
import unicodedata

import jsonschema
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from scaledoctor.sdk import Style
from scaledoctor_reports import _machine
from scaledoctor_reports.json_report import json_report
from scaledoctor_reports.markdown import markdown
from scaledoctor_reports.terminal import terminal
from tests import samples

ANSI = re.compile(r"\x1b\[[0-9;]*m")

TEXTS = [
    samples.HOSTILE,
    "\x1b]0;title\x07\x1b[2J\x9b31m\r\b\x7f",
    "[x](javascript:alert(1)) <img src=x onerror=alert(1)> [r]: http://evil.example 'x'",
    "| a | b |\n|---|---|\n| c | d |",
    "```\n# fence\n````\n~~~~~",
    "# head\n- item\n1. one\n> quote\n---\n===",
    "1. one", "- item", "+ x", "# x", "---", "===", "> q", "    code", "&lt;b&gt; &#60;",
    "`a|b` c\\|d \\", "\u202egnp.exe \u2066x\u2069 \U000e0041 \u200d \ue000 \uffff",
    "\ud800 lone \udfff", "[bold red]rich[/bold red] :smile:", "a@b.example https://x.example/?a=b|c",
    "", " ", "`", "|", "\\",
]  # fmt: skip


def hidden(text: str) -> set[str]:
    """The invisible or control characters in a text, but for its own newlines and tabs."""
    bad = {"Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"}
    return {c for c in text if c not in "\n\t" and unicodedata.category(c) in bad}


def flat(tokens: list[Token]) -> list[Token]:
    """All tokens of a document, inline ones too."""
    return [t for token in tokens for t in (token, *flat(token.children or []))]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize("verbosity", [-1, 0, 2])
@pytest.mark.parametrize("unicode", [True, False])
def test_no_control_character_reaches_the_terminal(
    text: str, verbosity: int, unicode: bool
) -> None:
    """Escapes are shown; with colour only our own colour sequences remain."""
    report = samples.hostile(text)
    plain = terminal(report, Style(False, 80, unicode, verbosity))
    assert hidden(plain) == set()
    assert unicode or plain.isascii()
    colored = terminal(report, Style(True, 80, unicode, verbosity))
    assert hidden(ANSI.sub("", colored)) == set()
    assert ANSI.sub("", colored).split() == plain.split(), "colour changes nothing else"


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_diagram_is_made_of_our_own_lines(text: str) -> None:
    """No quote, bracket or backtick of a name can end a label."""
    out = markdown(samples.hostile(text), Style())
    diagram = re.findall(r"```mermaid\n(.*?)\n```", out, re.S)[0].split("\n")
    assert diagram[0] == "flowchart TD"
    line = re.compile(r'  n\d\["[^"\[\]`<>&]*"\]|  n\d -->(\|"\d+% of it"\|)? n\d')
    assert all(line.fullmatch(row) for row in diagram[1:]), diagram


def test_rich_markup_and_escapes_are_shown_as_text() -> None:
    """Brackets survive; the escape character becomes visible."""
    out = terminal(samples.hostile("[bold]x[/bold] \x1b[31mred"), Style())
    assert r"[bold]x[/bold] \x1b[31mred" in out


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_markdown_has_neither_html_nor_links_and_whole_tables(text: str) -> None:
    """Parsed by a Markdown parser: our own structure only, with our rows and columns."""
    report = samples.hostile(text)
    out = markdown(report, Style())
    assert hidden(out) == set()
    tokens = flat(MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(out))
    kinds = [token.type for token in tokens]
    for kind in ("html_block", "html_inline", "link_open", "image", "s_open", "em_open", "hr",
                 "blockquote_open", "code_block"):  # fmt: skip
        assert kind not in kinds, kind
    evidence = 4 * (1 + len(report.diagnoses[0].finding.evidence))
    rows = 7 * (1 + len(report.headroom))
    moments = 2 * (1 + len(report.timeline))
    assert (kinds.count("th_open") + kinds.count("td_open"), kinds.count("table_open")) == (
        evidence + rows + moments, 3,
    )  # fmt: skip
    headings = [t.content for t in tokens if t.type == "inline" and "scaledoctor:" in t.content]
    assert headings == ["scaledoctor: BOTTLENECK"]
    fixes = "two fixes of cause, minor, risk and blind spot, and the chain's diagram"
    assert kinds.count("fence") == 2 * 4 + 1, fixes


@pytest.mark.parametrize("text", [text for text in TEXTS if text.strip()])
def test_the_structure_of_markdown_is_not_changed_by_hostile_text(text: str) -> None:
    """Lists, headings and code blocks are as many as with harmless text."""
    parse = MarkdownIt("commonmark").enable("table").parse
    wanted = [t.type for t in parse(markdown(samples.hostile("harmless"), Style()))]
    assert [t.type for t in parse(markdown(samples.hostile(text), Style()))] == wanted


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_json_holds_the_text_and_can_be_printed(text: str) -> None:
    """It decodes to the very text (lone surrogates as escapes) and has no raw control."""
    out = json_report(samples.hostile(text), Style())
    assert hidden(out) == set()
    found = json.loads(out)
    jsonschema.validate(found, json.loads(_machine.schema()))
    shown = re.sub("[\ud800-\udfff]", lambda m: f"\\u{ord(m[0]):04x}", text)
    assert found["findings"][0]["summary"] == shown
    assert found["findings"][0]["evidence"][1]["value"] == "nan"


def test_very_long_text_is_cut_and_the_cut_is_counted() -> None:
    """Ten kilobytes of name do not bury the verdict; JSON has them all."""
    text = "x" * 10_000
    out = terminal(samples.hostile(text), Style())
    assert "[9,400 more characters]" in out.replace("\n", " ")
    assert out.index("── Cause") < 4000
    assert text in json_report(samples.hostile(text), Style())
