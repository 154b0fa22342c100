"""Thresholds of a configuration, put into the plug-ins that they tune."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from scaledoctor.config.model import Config
from scaledoctor.config.read import wrong
from scaledoctor.registry import Registry
from scaledoctor.sdk import Check, Resource


def tuned(registry: Registry, config: Config) -> Registry:
    """Return the registry with the configuration's thresholds.

    Raises:
        ScaledoctorError: an unknown plug-in or threshold, a value of another type; an ignore of
            a check that nobody knows.
    """
    if config.path is None:
        return registry
    plugins: dict[str, Any] = {**registry.resources, **registry.checks}
    for ignore in config.ignores:
        _plugin(config, "ignore", ignore.check, registry.checks)
    resources, checks = dict(registry.resources), dict(registry.checks)
    for name, given in config.thresholds.items():
        plugin = _plugin(config, "thresholds", name, plugins)
        function = _with(plugin.function, _values(config, plugin, given))
        if name in checks:
            checks[name] = replace(plugin, function=function)
        else:
            resources[name] = replace(plugin, function=function)
    return replace(registry, resources=resources, checks=checks)


def _with(function: Callable[..., Any], values: Mapping[str, object]) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*facts: Any) -> Any:
        return function(*facts, **values)

    return run


def _plugin(config: Config, where: str, name: str, known: Mapping[str, Any]) -> Any:
    assert config.path is not None
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else "scaledoctor checks lists them"
        wrong(config.path, where, f"no check {name!r}", hint)
    return known[name]


def _values(
    config: Config, plugin: Check[...] | Resource[..., Any], given: Mapping[str, object]
) -> dict[str, object]:
    assert config.path is not None
    options = plugin.signature.options
    where = f'thresholds."{plugin.id}"'
    for name, value in given.items():
        if name not in options:
            near = get_close_matches(name, options, 1)
            hint = f"did you mean {near[0]}?" if near else f"it has: {', '.join(options) or 'none'}"
            wrong(config.path, where, f"no threshold {name!r}", hint)
        usual = options[name]
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        if isinstance(usual, bool | str) or not isinstance(usual, int | float):
            fits = isinstance(value, type(usual))
        if not fits:
            wrong(config.path, where, f"{name} = {value!r}", f"its default is {usual!r}")
    return dict(given)
