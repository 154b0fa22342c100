"""The JSON Schema of a configuration, for editors: docs/config.schema.json is made from it."""

import json
from typing import Any

from scaledoctor.config.read import FAIL_ON
from scaledoctor.targets import OPTIONS


def schema() -> str:
    """Return it as text, with a newline at its end."""
    text = {"type": "string", "minLength": 1}
    target = {"anyOf": [text, _object({"url": text, "name": text}, ("url",))]}
    place = {"$ref": "#/$defs/target"}
    several = {"anyOf": [place, {"type": "array", "items": place}]}
    scan = {
        "window": {"type": "number", "minimum": 0, "maximum": 600},
        "fail-on": {"enum": list(FAIL_ON)},
        "strict": {"type": "boolean"},
    }
    targets = {
        option.name: {"description": option.help, "$ref": "#/$defs/targets"} for option in OPTIONS
    }
    ignore = {
        "check": text,
        "reason": text,
        "until": {"type": "string", "format": "date"},
        "target": text,
        "subject": text,
    }
    found = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "scaledoctor.toml",
        "$defs": {"target": target, "targets": several},
        **_object(
            {
                "scan": _object(scan),
                "targets": _object(targets),
                "thresholds": {"type": "object", "additionalProperties": {"type": "object"}},
                "ignore": {"type": "array", "items": _object(ignore, ("check", "reason"))},
            }
        ),
    }
    return json.dumps(found, indent=1) + "\n"


def _object(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
