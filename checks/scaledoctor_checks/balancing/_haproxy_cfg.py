"""What haproxy.cfg says of its servers, with file and line, as several checks need it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity
from scaledoctor.sources.haproxy_cfg import HaproxyCfg, Section
from scaledoctor_checks.balancing._haproxy_words import RELOAD, SHOWN


@dataclass(frozen=True, slots=True)
class CfgServer:
    """One server line: its name, its line, how many servers it makes, what holds for it.

    ``options`` are those of the default-server lines above it and then its own.
    """

    name: str
    line: int
    count: int
    options: tuple[str, ...]

    def has(self, option: str) -> bool:
        """Whether an option is set and not taken back by ``no-OPTION`` later."""
        backwards = self.options[::-1]
        return option in backwards and (
            f"no-{option}" not in backwards
            or backwards.index(option) < backwards.index(f"no-{option}")
        )

    def value(self, option: str) -> str | None:
        """The word behind an option's last mention."""
        found = [i for i, word in enumerate(self.options[:-1]) if word == option]
        return self.options[found[-1] + 1] if found else None

    @property
    def checked(self) -> bool:
        """Whether HAProxy asks if it works."""
        return self.has("check") or self.has("track")

    @property
    def weight(self) -> int:
        """Its weight, 1 when none is given."""
        text = self.value("weight") or "1"
        return int(text) if text.isascii() and text.isdigit() else 1


def cfg_servers(cfg: HaproxyCfg, section: Section) -> list[CfgServer]:
    """The servers of a section in order; disabled ones are left out."""
    shared: list[str] = []
    for at in reversed(list(cfg.lineage(section))):
        for line in at.own("default-server"):
            shared.extend(line.words[1:])
    found: list[CfgServer] = []
    for line in section.directives:
        if line.name == "server" and len(line.words) > 2:
            own, count = line.words[3:], 1
        elif line.name == "server-template" and len(line.words) > 3:
            own, count = line.words[4:], _number(line.words[2])
        else:
            continue
        if "disabled" not in own:
            found.append(CfgServer(line.words[1], line.line, count, (*shared, *own)))
    return found


def _number(span: str) -> int:
    """3, or 1-5 for five."""
    low, dash, high = span.partition("-")
    if not (low.isdigit() and (high.isdigit() or not dash)):
        return 1
    return int(high) - int(low) + 1 if dash else int(low)


def balanced(cfg: HaproxyCfg) -> Iterator[tuple[Section, list[CfgServer]]]:
    """Every section with two servers or more, and its servers."""
    for section in cfg.proxies:
        found = cfg_servers(cfg, section)
        if sum(server.count for server in found) >= 2:
            yield section, found


def mode(cfg: HaproxyCfg, section: Section) -> str:
    """``http`` or ``tcp``, HAProxy's default."""
    line = cfg.setting(section, "mode")
    return line.words[1] if line and len(line.words) > 1 else "tcp"


def places(cfg: HaproxyCfg, lines: Sequence[int]) -> str:
    """The first lines as file:line, and how many more there are."""
    more = f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return ", ".join(cfg.place(line) for line in lines[:SHOWN]) + more


def labels(sections: Sequence[Section]) -> str:
    """The first sections by name, and how many more there are."""
    more = f" and {len(sections) - SHOWN} more" if len(sections) > SHOWN else ""
    return ", ".join(section.label for section in sections[:SHOWN]) + more


def risk(
    subject: str,
    summary: str,
    severity: Severity,
    evidence: Evidence,
    title: str,
    lines: Sequence[str],
    danger: str,
) -> Finding:
    """A line of the configuration that may cost something later, and what to write instead."""
    return Finding(
        subject=subject,
        summary=summary,
        severity=severity,
        evidence=(evidence,),
        fixes=(
            Fix(
                title,
                (*lines, f"# then: {RELOAD}"),
                language="text",
                risk=danger,
                verify="haproxy -c -f /etc/haproxy/haproxy.cfg",
                undo="take the lines out again and reload",
            ),
        ),
        kind=Kind.RISK,
    )
