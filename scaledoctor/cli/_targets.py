"""One repeatable option for each kind of target, on every command that looks at some."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from scaledoctor.targets import OPTIONS, Option


def takes_targets(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of `OPTIONS`; it gets their values as ``given``, by name."""
    options = {_name(option): option for option in OPTIONS}

    @functools.wraps(command)
    def run(**arguments: Any) -> int:
        given = {
            option.name: arguments.pop(name) or []
            for name, option in options.items()
            if name in arguments
        }
        return command(given=given, **arguments)

    own = [p for p in inspect.signature(command).parameters.values() if p.name != "given"]
    hints = get_type_hints(command, include_extras=True)
    parameters = [
        *(_parameter(name, option) for name, option in options.items()),
        *(p.replace(kind=p.KEYWORD_ONLY, annotation=hints[p.name]) for p in own),
    ]
    run.__dict__["__signature__"] = inspect.Signature(parameters, return_annotation=int)
    run.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": int}
    return run


def _name(option: Option) -> str:
    return option.name.replace("-", "_")


def _parameter(name: str, option: Option) -> inspect.Parameter:
    shown = typer.Option(f"--{option.name}", metavar=option.metavar, help=option.help)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[list[str] | None, shown],
    )
