"""SARIF 2.1.0 as GitHub's documentation asks for it, as a JSON Schema of our own."""

from typing import Any


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": required | (optional or {}),
        "additionalProperties": False,
    }


def _text(longest: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest}


_MESSAGE = _object({"text": _text(10_000)})
_DESCRIPTION = _object({"text": _text(1024)})
_LEVEL = {"enum": ["none", "note", "warning", "error"]}
_TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"}
_RULE = _object(
    {
        "id": _text(255),
        "shortDescription": _DESCRIPTION,
        "fullDescription": _DESCRIPTION,
        "help": _object({"text": _text(1024)}),
    },
    {
        "name": _text(255),
        "defaultConfiguration": _object({"level": _LEVEL}),
        "properties": _object(
            {
                "precision": {"enum": ["very-high", "high", "medium", "low"]},
                "problem.severity": {"enum": ["error", "warning", "recommendation"]},
                "tags": {"type": "array", "maxItems": 10, "items": _text(100)},
            }
        ),
    },
)
_LOCATION = _object(
    {
        "physicalLocation": _object(
            {
                "artifactLocation": _object({"uri": {"type": "string", "pattern": r"^[^/\s]\S*$"}}),
                "region": _object({"startLine": {"type": "integer", "minimum": 1}}),
            }
        )
    },
    {
        "logicalLocations": {
            "type": "array",
            "items": _object({"fullyQualifiedName": _text(10_000)}),
        }
    },
)
_RESULT = _object(
    {
        "ruleId": _text(255),
        "message": _MESSAGE,
        "locations": {"type": "array", "minItems": 1, "items": _LOCATION},
        "partialFingerprints": _object({"primaryLocationLineHash": _text(100)}),
    },
    {
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": _LEVEL,
        "rank": {"type": "number", "minimum": -1, "maximum": 100},
        "properties": {"type": "object"},
        "suppressions": {
            "type": "array",
            "items": _object({"kind": {"const": "external"}, "justification": _text(1024)}),
        },
    },
)
_INVOCATION = _object(
    {"executionSuccessful": {"type": "boolean"}},
    {
        "startTimeUtc": _TIME,
        "endTimeUtc": _TIME,
        "toolExecutionNotifications": {
            "type": "array",
            "items": _object({"message": _MESSAGE}, {"level": _LEVEL}),
        },
    },
)
_RULES = {"type": "array", "items": _RULE}
_DRIVER = _object({"name": _text(255)}, {"version": _text(50), "rules": _RULES})
SUBSET = _object(
    {
        "$schema": {"type": "string", "pattern": "sarif-schema-2.1.0|sarif-2.1.0"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "maxItems": 20,
            "items": _object(
                {
                    "tool": _object({"driver": _DRIVER}),
                    "results": {"type": "array", "maxItems": 25_000, "items": _RESULT},
                },
                {
                    "automationDetails": _object({"id": _text(255)}),
                    "invocations": {"type": "array", "items": _INVOCATION},
                    "properties": {"type": "object"},
                },
            ),
        },
    }
)
"""Required and optional fields, limits and enumerations; nothing else may stand there."""
