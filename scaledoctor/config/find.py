"""Where the configuration stands, and the errors that it may hold, one clear line each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scaledoctor.config.model import Config
from scaledoctor.config.read import parse
from scaledoctor.errors import ScaledoctorError

FILE = "scaledoctor.toml"
PROJECT = "pyproject.toml"


def find(folder: Path) -> Path | None:
    """Return the nearest scaledoctor.toml, or pyproject.toml with ``[tool.scaledoctor]``.

    It is looked for in the folder and above it, up to the root of the repository; outside of a
    repository only in the folder itself, so that no stranger's file in ``/tmp`` is taken.
    """
    above = [folder, *folder.parents]
    root = next((n for n, place in enumerate(above) if (place / ".git").exists()), 0)
    for place in above[: root + 1]:
        if (place / FILE).is_file():
            return place / FILE
        project = place / PROJECT
        if project.is_file() and b"[tool.scaledoctor" in project.read_bytes():
            return project
    return None


def load(path: Path, environment: Mapping[str, str]) -> Config:
    """Read one file; ``${NAME}`` in a target is taken from the environment.

    Raises:
        ScaledoctorError: it cannot be read, is no TOML, or says something that nobody knows.
    """
    import tomllib

    try:
        data: dict[str, Any] = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise ScaledoctorError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ScaledoctorError(f"{path}: not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ScaledoctorError(f"{path}: not TOML: {error}") from None
    if path.name == PROJECT:
        tool = data.get("tool", {})
        data = tool.get("scaledoctor", {}) if isinstance(tool, dict) else {}
    return parse(data, path, environment)
