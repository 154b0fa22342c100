"""The one module that makes text inert."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from scaledoctor_reports.escape import code, fence, line, markdown, span, visible


def test_controls_are_shown_as_escapes() -> None:
    """C0, C1, bidirectional, zero-width, surrogates, beyond the basic plane."""
    assert visible("a\x1b\x9b\u202e\u200b\udc80\U000e0041b") == (
        r"a\x1b\x9b\u202e\u200b\udc80\U000e0041b"
    )
    assert visible("Größe 表 ✓") == "Größe 表 ✓"
    assert visible("ö ✓", unicode=False) == r"\xf6 \u2713"


def test_a_line_is_one_line_and_code_keeps_its_lines() -> None:
    """Newlines become blanks in a line; code keeps newlines and tabs, not carriage returns."""
    assert line(" a\r\n\tb  c ") == "a b c"
    assert line("abcdef", 4) == "abcd... [2 more characters]"
    assert code("a\n\tb\rc") == "a\n\tb\\x0dc"
    assert code("x" * 20_005).endswith("... [5 more characters]")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("public.order_items(order_id)", "public.order_items(order_id)"),
        ("postgres.idle-in-transaction", "postgres.idle-in-transaction"),
        ("a|b <b> & *x* _y_", r"a&#124;b &lt;b&gt; &amp; \*x\* \_y\_"),
        ("see http://x.example/a_b now", "see `http://x.example/a_b` now"),
        ("ask @team about #12", "ask `@team` about `#12`"),
        ("id = $1", "id = `$1`"),
        ("1. one", r"1\. one"),
        ("- one", r"\- one"),
    ],
)
def test_markdown_stays_readable(text: str, wanted: str) -> None:
    """Only what Markdown would read differently is escaped."""
    assert markdown(text) == wanted


@given(st.text(max_size=60))
def test_markdown_renders_as_the_text_itself(text: str) -> None:
    """For any text: what a reader sees is the inert line, nothing more and nothing less."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown(text))
    seen = "".join(c.content for token in tokens for c in token.children or [])
    assert seen == line(text)


@given(st.text(alphabet="`| ab\\", max_size=20))
def test_inline_code_holds_backticks_and_pipes(text: str) -> None:
    """Also in a table cell, it renders as the text and never ends the cell."""
    out = f"| {span(text)} | x |\n|---|---|\n"
    tokens = MarkdownIt("commonmark").enable("table").parse(out)
    cells = [t for t in tokens if t.type == "inline"]
    assert cells[-1].content == "x"
    assert len([t for t in tokens if t.type == "th_open"]) == 2
    seen = "".join(c.content for c in cells[0].children or []) if len(cells) == 2 else ""
    assert seen.strip() == line(text).strip()


@given(st.text(alphabet="`~\n ab", max_size=40))
def test_a_fence_is_longer_than_any_inside(text: str) -> None:
    """The block holds exactly the text."""
    tokens = MarkdownIt("commonmark").parse(fence(text, "sql`"))
    assert [(t.type, t.info, t.content) for t in tokens] == [("fence", "sql", text + "\n")]
