"""The published schema agrees with the reader."""

import json
import os
import tomllib
from pathlib import Path

import jsonschema

from scaledoctor.config.schema import schema
from tests.config.test_config import WHOLE

PATH = Path(__file__).parents[2] / "docs" / "config.schema.json"


def test_the_schema_in_the_docs_is_that_of_the_code() -> None:
    """SCALEDOCTOR_GOLDEN=write renews it."""
    if os.environ.get("SCALEDOCTOR_GOLDEN") == "write":
        PATH.write_text(schema(), encoding="utf-8")
    assert PATH.read_text(encoding="utf-8") == schema()
    jsonschema.Draft202012Validator.check_schema(json.loads(schema()))


def test_it_takes_what_the_reader_takes_and_refuses_a_typing_error() -> None:
    """TOML's dates are texts in JSON."""
    data = json.loads(json.dumps(tomllib.loads(WHOLE), default=str))
    validator = jsonschema.Draft202012Validator(json.loads(schema()))
    assert list(validator.iter_errors(data)) == []
    assert list(validator.iter_errors({"scan": {"windw": 3}})) != []
    assert list(validator.iter_errors({"ignore": [{"check": "a.b"}]})) != []
