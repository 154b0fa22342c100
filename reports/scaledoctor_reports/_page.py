"""The sheet that the terminal report is drawn on: every text passes through here, made inert."""

from dataclasses import dataclass
from io import StringIO

from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.style import Style as Ink
from rich.text import Text

from scaledoctor.model import Severity, State
from scaledoctor.report import Status
from scaledoctor.sdk import Style
from scaledoctor_reports import escape

Part = str | tuple[str, str]
"""Text, or text with its ink."""

INKS: dict[Severity | Status | State, str] = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
    Severity.INFO: "dim",
    Status.BOTTLENECK: "bold white on red",
    Status.HEALTHY: "bold black on green",
    Status.UNKNOWN: "bold black on yellow",
    State.SATURATED: "bold red",
    State.BUSY: "yellow",
    State.OK: "green",
    State.UNKNOWN: "dim",
}


@dataclass(frozen=True, slots=True)
class Marks:
    """The symbols; colour only repeats what they and a word say."""

    bad: str = "✗"
    warn: str = "!"
    good: str = "✓"
    unknown: str = "?"
    now: str = "▶"
    arrow: str = "└─ "
    dot: str = "·"
    heavy: str = "━"
    light: str = "─"
    full: str = "█"
    empty: str = "░"


ASCII = Marks("x", "!", "+", "?", ">", "`- ", "-", "=", "-", "#", ".")


@dataclass(frozen=True, slots=True)
class Page:
    """A text being written."""

    style: Style
    marks: Marks
    console: Console
    buffer: StringIO

    def text(self) -> str:
        """What was written so far, without blanks at line ends, with one newline at its end."""
        rows = (row.rstrip() for row in self.buffer.getvalue().split("\n"))
        return "\n".join(rows).strip("\n") + "\n"

    def inert(self, *parts: Part, width: int = escape.SENTENCE) -> Text:
        """Text whose parts came from anywhere."""
        text = Text()
        for part in parts:
            words, ink = (part, "") if isinstance(part, str) else part
            blank = " " if words.startswith(" ") and len(text) else ""
            end = " " if words.endswith(" ") else ""
            flat = escape.line(words, width, unicode=self.style.unicode)
            text.append(f"{blank}{flat}{end}", style=ink)
        return text

    @property
    def table_width(self) -> int:
        """How wide a table may be: cells far apart cannot be read as one row."""
        return min(self.style.width, 120)

    def draw(self, what: RenderableType, indent: int = 0) -> None:
        """Print something that rich can draw."""
        self.console.print(Padding(what, (0, 0, 0, indent)))

    def say(self, *parts: Part, indent: int = 0, lead: str = "", ink: str = "") -> None:
        """A paragraph, wrapped under itself and not under its lead (a symbol or a number)."""
        text = self.inert(*parts)
        text.style = ink
        room = self.style.width - indent - len(lead)
        before = Text(" " * indent + lead, style=ink)
        for row in text.wrap(self.console, room, overflow="fold") or [Text()]:
            row.rstrip()
            self.console.print(Text.assemble(before, row), no_wrap=True, overflow="ignore")
            before = Text(" " * len(before))

    def heading(self, title: str, aside: str = "", *, mark: str = "", ink: str = "bold") -> None:
        """A rule across the page with a title, heavier with a ``mark``."""
        char = self.marks.heavy if mark else self.marks.light
        text = Text()
        text.append(char * 2 + " ", style="dim")
        text.append(f"{mark} {title}".strip(), style=ink)
        tail = f" {aside} " if aside else ""
        fill = max(2, self.style.width - len(text) - len(tail) - (3 if aside else 0))
        text.append(" " + char * fill, style="dim")
        text.append(tail)
        if aside:
            text.append(char * 2, style="dim")
        self.console.print()
        self.console.print(text, no_wrap=True, overflow="crop")

    def command(self, text: str, indent: int) -> None:
        """Lines to copy: never wrapped, never cut, nothing before them but blanks."""
        ink = Ink.parse("green")
        system = ColorSystem.STANDARD if self.style.color else None
        for row in escape.code(text, unicode=self.style.unicode).split("\n"):
            self.buffer.write(" " * indent + ink.render(row, color_system=system) + "\n")

    def labelled(self, label: str, text: str, indent: int) -> None:
        """A label with a sentence, or with a statement on a line of its own to copy."""
        if text.rstrip().endswith(";"):
            self.say(f"{label}:", indent=indent, ink="dim")
            self.command(text, indent + 2)
        elif text:
            self.say(text, lead=f"{label}: ", indent=indent, ink="dim")


def blank_page(style: Style) -> Page:
    """An empty page; depends on the style alone, never on the environment."""
    buffer = StringIO()
    console = Console(
        file=buffer,
        width=style.width,
        height=25,  # else rich asks the terminal, or assumes 80 columns when TERM is dumb
        force_terminal=style.color,
        force_jupyter=False,
        color_system="standard" if style.color else None,
        no_color=not style.color,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    return Page(style, Marks() if style.unicode else ASCII, console, buffer)
