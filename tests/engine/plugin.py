"""A third party's provider, as it would be written and installed, for tests of the engine."""

from pathlib import Path

SOURCE = '''
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from scaledoctor.sdk import (
    Cadence, Finding, Redactor, Severity, Step, Target, Unavailable, Unreachable, Use, Window,
    check, fact, probe, resource, source,
)


@dataclass
class Tank:
    name: str
    redactor: Redactor
    level: int = 0


@source("tank", Tank)
@asynccontextmanager
async def tank(target: Target, redactor: Redactor) -> AsyncIterator[Tank]:
    if target.dsn == "refuse":
        raise Unreachable("refused", "no tank here, password=hunter2", "E1", "fill it")
    if target.dsn == "hang":
        import asyncio
        await asyncio.sleep(60)
    if target.dsn == "crash":
        raise RuntimeError("a defect in the source")
    yield Tank(target.dsn, redactor)


@fact
@dataclass(frozen=True, slots=True)
class Level:
    tank: str
    litres: int


@fact
@dataclass(frozen=True, slots=True)
class Label:
    text: str


@fact
@dataclass(frozen=True, slots=True)
class Hidden:
    text: str


@fact
@dataclass(frozen=True, slots=True)
class Unwanted:
    text: str


@probe(cost="nothing", cadence=Cadence.SAMPLED)
async def level(tank: Tank, label: Label) -> Level:
    if tank.name == "leaky" and tank.level > 2:
        raise ValueError("float jammed")
    tank.level += 1
    return Level(tank.name, tank.level)


@probe(cost="nothing")
async def label(tank: Tank) -> Label:
    return Label(tank.redactor.text(f"tank {tank.name} token=abc123"))


@probe(cost="nothing")
async def hidden(tank: Tank) -> Hidden:
    raise Unavailable("the lid is closed", "open the lid")


@probe(cost="nothing")
async def unwanted(tank: Tank) -> Unwanted:
    raise AssertionError("nobody needs this fact")


@resource("tank.level", step=Step.SCALE_OUT)
def capacity(level: Level, /, *, warn: float = 0.5, critical: float = 0.9) -> Use:
    """Litres against ten."""
    return Use(level.litres, 10.0, "litres", warn, critical)


@check("tank.rising", step=Step.SCALE_OUT)
def rising(levels: Window[Level], /) -> Iterator[Finding]:
    """The tank fills up."""
    grown = levels.delta(lambda fact: fact.litres)
    if grown:
        yield Finding(levels.last.tank, f"{grown} litres more", Severity.HIGH, impact=0.5)


@check("tank.opaque", step=Step.IDENTIFY)
def opaque(hidden: Hidden, /) -> Iterator[Finding]:
    """The tank cannot be looked into."""
    yield Finding(hidden.text, "never reached", Severity.LOW)


@check("tank.broken", step=Step.IDENTIFY)
def broken(level: Level, /) -> Iterator[Finding]:
    """This check has a defect."""
    raise ZeroDivisionError("oops")


@check("tank.all", step=Step.SCALE_OUT)
def every(levels: list[Level], label: Label | None, /) -> Iterator[Finding]:
    """All tanks together."""
    yield Finding("all", f"{len(levels)} tanks, labelled {label is not None}", Severity.LOW)
'''


def install(folder: Path, name: str, source: str, group: str = "scaledoctor.tests") -> None:
    """Write a package and the metadata that an installer would leave beside it."""
    (folder / f"{name}.py").write_text(source)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {name}\n")


BARREL = """
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scaledoctor.sdk import Redactor, Target, probe, source
from tankplug import Label, Level


class Barrel:
    pass


@source("barrel", Barrel)
@asynccontextmanager
async def barrel(target: Target, redactor: Redactor) -> AsyncIterator[Barrel]:
    yield Barrel()


@probe(cost="nothing")
async def filled(barrel: Barrel) -> Level:
    return Level("barrel", 10)
"""
"""Another kind of target that gives a fact of the first one."""
