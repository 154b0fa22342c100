"""What a plug-in function says by its annotations: the facts it needs, its thresholds."""

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from scaledoctor.window import Window


class Shape(StrEnum):
    """How a fact is handed over."""

    LATEST = "latest"
    WINDOW = "window"
    EACH = "each"


@dataclass(frozen=True, slots=True)
class Need:
    """One positional parameter: the fact's class, its shape, and whether it may be missing."""

    name: str
    fact: type
    shape: Shape
    optional: bool


@dataclass(frozen=True, slots=True)
class Signature:
    """The needs in order, the thresholds with their defaults, and what is returned."""

    needs: tuple[Need, ...]
    options: Mapping[str, Any]
    returns: Any


def signature(function: Callable[..., Any]) -> Signature:
    """Read a plug-in function's annotations.

    ``T`` is required, ``T | None`` optional, ``Window[T]`` all samples, ``list[T]`` one per
    target. Keyword-only parameters with defaults are the thresholds.

    Raises:
        TypeError: a parameter without annotation, a threshold without default, or an
            annotation that is none of the four shapes.

    """
    hints = typing.get_type_hints(function)
    needs: list[Need] = []
    options: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in hints:
            raise TypeError(f"{_name(function)}: parameter {name!r} has no annotation")
        if parameter.kind is not parameter.KEYWORD_ONLY:
            needs.append(_need(function, name, hints[name]))
        elif parameter.default is parameter.empty:
            raise TypeError(f"{_name(function)}: threshold {name!r} has no default")
        else:
            options[name] = parameter.default
    return Signature(tuple(needs), options, hints.get("return"))


def _need(function: Callable[..., Any], name: str, hint: Any) -> Need:
    optional = False
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        rest = [a for a in typing.get_args(hint) if a is not types.NoneType]
        optional = len(rest) < len(typing.get_args(hint))
        if len(rest) != 1:
            raise TypeError(f"{_name(function)}: {name!r} may be T or T | None, no other union")
        hint = rest[0]
    shape = {Window: Shape.WINDOW, list: Shape.EACH}.get(typing.get_origin(hint), Shape.LATEST)
    if shape is not Shape.LATEST:
        (hint,) = typing.get_args(hint)
    if not isinstance(hint, type):
        raise TypeError(f"{_name(function)}: {name!r} is annotated with {hint!r}, not with a fact")
    return Need(name, hint, shape, optional)


def _name(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"
