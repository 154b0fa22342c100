"""Reading a plan as it was pasted, piped or logged: TEXT, JSON, XML or YAML, framed or not."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from scaledoctor.errors import ScaledoctorError
from scaledoctor.plans.read_text import text_plan
from scaledoctor.plans.read_xml import xml_plan
from scaledoctor.plans.read_yaml import yaml_plan
from scaledoctor.plans.tree import Plan, plan_of

MOST = 64 << 20
"""Characters of one plan; the largest that we know of has 20 MB."""

HINT = "give what EXPLAIN printed, as TEXT, JSON, XML or YAML"

_FOOTER = re.compile(r"^\s*\(\d+ \w+\)\s*$")
_RULE = re.compile(r"^[\s|+│─━┌┐└┘├┤╔╗╚╝═╟╢╠╣-]*[-─═]{3,}[\s|+│─━┌┐└┘├┤╔╗╚╝═╟╢╠╣-]*$")
_TITLE = re.compile(r"^\W*QUERY PLAN\W*$")
_EDGE = re.compile(r"^\s?[|│║]|[|│║]\s*$")


def read_plan(text: str, where: str = "plan") -> Plan:
    """Read one plan.

    Raises:
        ScaledoctorError: no plan in it, or one that breaks off; ``where`` stands in the message.
    """
    if len(text) > MOST:
        raise ScaledoctorError(f"{where}: longer than {MOST >> 20} MB", HINT)
    try:
        return plan_of(_bare(text) or _framed(text))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        said = error if isinstance(error, ValueError) else "it breaks off or lacks a part"
        raise ScaledoctorError(f"{where}: no plan that can be read: {said}", HINT) from None
    except RecursionError:
        raise ScaledoctorError(f"{where}: no plan that can be read: nested too deeply") from None


def _bare(text: str) -> Mapping[str, Any] | None:
    """JSON and nothing else, which most tools hand over."""
    if text[:1] not in ("[", "{"):
        return None
    try:
        return json_plan(text)
    except ValueError:
        return None


def _framed(text: str) -> Mapping[str, Any]:
    text = unframed(text)
    return _reader(text)(text)


def _reader(text: str) -> Callable[[str], Mapping[str, Any]]:
    if "<explain" in text:
        return xml_plan
    if re.search(r'^\s*[\[{]\s*$|^\s*\[?\s*\{\s*"', text, re.M) and '"Plan"' in text:
        return json_plan
    if re.search(r"^\s*(?:- )?Plan:\s*$", text, re.M):
        return yaml_plan
    return text_plan


def json_plan(text: str) -> Mapping[str, Any]:
    """The first object with a plan in a text that may have words before and after it."""
    start = min(i for i in (text.find("["), text.find("{")) if i >= 0)
    for begin in (start, text.find("{")):
        try:
            value, _ = json.JSONDecoder().raw_decode(text, begin)
        except ValueError:
            continue
        while isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, dict) and "Plan" in value:
            return value
    raise ValueError("the JSON breaks off")


def unframed(text: str) -> str:
    """Take off what psql, pgAdmin and loggers put around: frames, titles, footers, quotes, wraps.

    A psql cell of several lines ends each with ``+``.
    """
    lines = [line.expandtabs(8) for line in text.lstrip("\ufeff").splitlines()]
    kept: list[str] = []
    for line in lines:
        if _FOOTER.match(line) or _RULE.match(line) or _TITLE.match(line):
            continue
        bare = _EDGE.sub("", line)
        kept.append(re.sub(r"\s*(?:\+|↵)\s*$", "", bare))
    filled = [line for line in kept if line.strip()]
    for quote in ('"', "'"):
        if filled and all(_quoted(line.strip(), quote) for line in filled):
            kept = [line.strip()[1:-1].replace(quote * 2, quote) for line in filled]
    return "\n".join(kept)


def _quoted(line: str, quote: str) -> bool:
    return len(line) > 1 and line.startswith(quote) and line.endswith(quote)
