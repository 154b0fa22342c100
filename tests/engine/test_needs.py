"""A plug-in function's annotations say what it needs."""

from dataclasses import dataclass

import pytest

from scaledoctor.needs import Need, Shape, signature
from scaledoctor.sdk import fact, probe
from scaledoctor.window import Window


@dataclass(frozen=True)
class Depth:
    value: int


def test_the_four_shapes_and_the_thresholds() -> None:
    """T, T | None, Window[T] and list[T] are told apart; keyword defaults are thresholds."""

    def plugin(
        a: Depth, b: Depth | None, c: Window[Depth], d: list[Depth], /, *, warn: float = 0.8
    ) -> None: ...

    found = signature(plugin)
    assert found.needs == (
        Need("a", Depth, Shape.LATEST, optional=False),
        Need("b", Depth, Shape.LATEST, optional=True),
        Need("c", Depth, Shape.WINDOW, optional=False),
        Need("d", Depth, Shape.EACH, optional=False),
    )
    assert found.options == {"warn": 0.8}


def test_an_optional_window_is_a_window() -> None:
    """Window[T] | None keeps its shape."""

    def plugin(a: Window[Depth] | None) -> None: ...

    assert signature(plugin).needs == (Need("a", Depth, Shape.WINDOW, optional=True),)


def test_wrong_annotations_are_refused() -> None:
    """Whatever is none of the four shapes is a TypeError that names the function."""

    def bare(a) -> None: ...  # type: ignore[no-untyped-def]  # the fault under test

    def either(a: Depth | int) -> None: ...

    def endless(a: Depth, /, *, warn: float) -> None: ...

    for function, words in ((bare, "no annotation"), (either, "no other union"), (endless, "warn")):
        with pytest.raises(TypeError, match=words) as error:
            signature(function)
        assert function.__qualname__ in str(error.value)


def test_a_fact_is_a_frozen_dataclass() -> None:
    """Anything mutable would let a check change what the next one sees."""

    @dataclass
    class Loose:
        value: int

    with pytest.raises(TypeError, match="frozen dataclass"):
        fact(Loose)
    assert fact(Depth) is Depth


def test_a_probe_knows_its_session_inputs_and_fact() -> None:
    """First parameter the session, the others earlier facts, the return type the fact."""

    class Session: ...

    @dataclass(frozen=True)
    class Deeper:
        value: int

    async def deeper(session: Session, depth: Depth) -> Deeper:
        return Deeper(depth.value)

    deeper.__annotations__ = {"session": Session, "depth": Depth, "return": Deeper}
    found = probe(cost="none")(deeper)
    assert (found.session, found.gives) == (Session, Deeper)
    assert [need.fact for need in found.inputs] == [Depth]
