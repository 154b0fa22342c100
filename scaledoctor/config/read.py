"""From TOML's tables to a Config; an unknown key is an error with the nearest match."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from scaledoctor.config.model import Config, Ignore
from scaledoctor.errors import ScaledoctorError
from scaledoctor.targets import OPTIONS

SCAN: Mapping[str, tuple[type, ...]] = {
    "window": (int, float),
    "fail-on": (str,),
    "strict": (bool,),
}
"""Options of scan that a file may set. Code and places to write to are not among them: a file
that is merely found must not run or overwrite anything."""

SECTIONS = ("scan", "targets", "thresholds", "ignore")
FAIL_ON = ("none", "low", "medium", "high", "critical")
IGNORE = ("check", "reason", "until", "target", "subject")

_VARIABLE = re.compile(r"\$\{(\w+)\}")


def parse(data: Mapping[str, Any], path: Path, environment: Mapping[str, str]) -> Config:
    """Check and convert the tables of a file.

    Raises:
        ScaledoctorError: an unknown key, a value of another type, or an unset variable.
    """
    _known(path, "", data, SECTIONS)
    tables = {name: _table(path, name, data.get(name, {})) for name in SECTIONS[:3]}
    found = list(_targets(path, tables["targets"], environment))
    return Config(
        path=path,
        scan=_scan(path, tables["scan"]),
        targets={
            option: tuple(value for o, value, _ in found if o == option) for option, _, _ in found
        },
        names={(option, value): name for option, value, name in found if name},
        thresholds={
            check: {
                key.replace("-", "_"): value
                for key, value in _table(path, f'thresholds."{check}"', given).items()
            }
            for check, given in tables["thresholds"].items()
        },
        ignores=tuple(_ignores(path, data.get("ignore", []))),
    )


def wrong(path: Path, where: str, what: str, hint: str = "") -> NoReturn:
    """Refuse a value: the file, the key and what to write instead."""
    raise ScaledoctorError(f"{path}: {where + ': ' if where else ''}{what}", hint)


def _known(path: Path, where: str, given: Iterable[str], known: Sequence[str]) -> None:
    for key in given:
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"one of: {', '.join(known)}"
            wrong(path, where, f"unknown key {key!r}", hint)


def _table(path: Path, where: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        wrong(path, where, "not a table", f"write [{where}] and the keys below it")
    return value


def _scan(path: Path, given: Mapping[str, Any]) -> dict[str, float | str | bool]:
    _known(path, "scan", given, tuple(SCAN))
    for key, value in given.items():
        kind = SCAN[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and bool not in kind):
            wrong(path, f"scan.{key}", f"{value!r} is of the wrong type")
    window = given.get("window", 0)
    if not isfinite(window) or not 0 <= window <= 600:
        wrong(path, "scan.window", f"{window!r} is not between 0 and 600 seconds")
    if given.get("fail-on", "none") not in FAIL_ON:
        wrong(path, "scan.fail-on", f"{given['fail-on']!r}", f"one of: {', '.join(FAIL_ON)}")
    return dict(given)


def _targets(
    path: Path, given: Mapping[str, Any], environment: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    """Give option, value and name of every target."""
    _known(path, "targets", given, [option.name for option in OPTIONS])
    for option, values in given.items():
        where = f"targets.{option}"
        for item in values if isinstance(values, list) else [values]:
            table = {"url": item} if isinstance(item, str) else _table(path, where, item)
            _known(path, where, table, ("url", "name"))
            url, name = table.get("url"), table.get("name", "")
            if not isinstance(url, str) or not url or not isinstance(name, str):
                wrong(path, where, "not a target", '"..." or { url = "...", name = "..." }')
            yield option, _filled(path, where, url, environment), name


def _filled(path: Path, where: str, text: str, environment: Mapping[str, str]) -> str:
    for name in _VARIABLE.findall(text):
        if name not in environment:
            wrong(path, where, f"the environment has no {name}", f"export {name}=...")
    return _VARIABLE.sub(lambda m: environment[m[1]], text)


def _ignores(path: Path, given: Any) -> Iterator[Ignore]:
    if not isinstance(given, list):
        wrong(path, "ignore", "not a list of tables", "write [[ignore]], with two brackets")
    for number, item in enumerate(given, 1):
        where = f"ignore {number}"
        table = _table(path, where, item)
        _known(path, where, table, IGNORE)
        for key in ("check", "reason"):
            if not str(table.get(key, "")).strip():
                wrong(path, where, f"no {key}", "an ignore says which check and why")
        texts = {key: table[key] for key in IGNORE if key in table and key != "until"}
        if not all(isinstance(text, str) for text in texts.values()):
            wrong(path, where, "check, reason, target and subject are texts")
        until = table.get("until")
        if until is not None and (isinstance(until, datetime) or not isinstance(until, date)):
            wrong(path, where, f"until = {until!r} is no date", "write until = 2027-01-31")
        yield Ignore(until=until, **texts)
