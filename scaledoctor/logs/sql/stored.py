"""A partial result as JSON and back, so that hosts and days can be joined later."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin

from scaledoctor.errors import ScaledoctorError
from scaledoctor.logs.nplusone import plain
from scaledoctor.logs.nplusone.runs import Runs
from scaledoctor.logs.sql.partial import Partial

if TYPE_CHECKING:
    import msgspec

VERSION = 1


@dataclass(frozen=True, slots=True)
class Stored:
    """A finished partial: nothing in it waits for another part."""

    version: int
    format: str
    partial: Partial
    runs: "msgspec.Raw"


def dumps(partial: Partial, form: str) -> bytes:
    """Return a finished partial as JSON."""
    import msgspec

    runs = msgspec.Raw(plain.dumps(partial.runs))
    return msgspec.json.encode(Stored(VERSION, form, replace(partial, runs=Runs()), runs))


def load(path: Path, *, literals: bool) -> tuple[Partial, str]:
    """Read a partial back, and the format that it was made from.

    Raises:
        ScaledoctorError: it cannot be read, or is none of this version.

    """
    import msgspec

    globals()["msgspec"] = msgspec  # the annotation of Stored.runs is resolved here
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=Stored, dec_hook=_hook)
        if stored.version != VERSION:
            raise ScaledoctorError(f"{path}: a partial of another version", "make it again")
        runs = plain.loads(bytes(stored.runs), [], show=literals)
    except OSError as error:
        raise ScaledoctorError(f"{path}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "make one with: scaledoctor logs --partial FILE PATH"
        raise ScaledoctorError(f"{path}: no partial of ours: {error}", hint) from None
    return replace(stored.partial, runs=runs), stored.format


def _hook(kind: type, value: Any) -> Any:
    """Histograms are counters, which JSON gives text for the numbers of their buckets."""
    if get_origin(kind) is Counter or kind is Counter:
        return Counter({int(bucket): int(count) for bucket, count in value.items()})
    raise NotImplementedError(kind)
