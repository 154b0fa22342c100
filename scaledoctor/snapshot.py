"""The seam: everything that was read, frozen, to JSON and back exactly."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from traceback import format_exception
from typing import Any, TypeVar

from scaledoctor.errors import ScaledoctorError, Unavailable
from scaledoctor.targets import Reach

SCHEMA_VERSION = 1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Skip:
    """Something we could not see on a target: which fact or check, why, how to enable it."""

    what: str
    reason: str
    enable: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A plug-in that crashed: which, the error in one line, the traceback for its author."""

    what: str
    error: str
    traceback: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one fact cost its target: requests, seconds in all, and the slowest request."""

    calls: int
    seconds: float
    slowest: float


@dataclass(frozen=True, slots=True)
class Record:
    """All that was read from one target; ``samples`` maps a fact's name to (seconds, fact)."""

    name: str
    kind: str
    address: str
    named: bool
    reach: Reach
    samples: Mapping[str, tuple[tuple[float, Any], ...]]
    skips: tuple[Skip, ...] = ()
    failures: tuple[Failure, ...] = ()
    costs: Mapping[str, Cost] = field(default_factory=dict)

    def last(self, fact: type[T]) -> T | None:
        """The latest reading of a fact; None where there is none."""
        found: tuple[tuple[float, T], ...] = self.samples.get(fact.__name__, ())
        return found[-1][1] if found else None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One collection: ``window`` is what was asked for, ``seconds`` what it took."""

    schema_version: int
    version: str
    started: datetime
    window: float
    seconds: float
    records: tuple[Record, ...]
    redactions: Mapping[str, int] = field(default_factory=dict)


@contextmanager
def surviving(
    what: str, target: str, skips: list[Skip], failures: list[Failure], patience: float = 0.0
) -> Iterator[None]:
    """Run one plug-in function and outlive it: the only place that catches everything.

    ``Unavailable`` and a time-out after ``patience`` seconds become a skip, any other exception
    a failure with its traceback. Without a reason there is nothing to see, and nothing to say.
    """
    try:
        yield
    except Unavailable as absent:
        if absent.reason:
            skips.append(Skip(what, absent.reason, absent.enable, target))
    except TimeoutError:
        skips.append(Skip(what, f"no answer within {patience:g} s", "", target))
    except Exception as error:  # a broken plug-in must not stop the scan
        line = f"{type(error).__name__}: {error}"
        failures.append(Failure(what, line, "".join(format_exception(error)), target))


def dumps(snapshot: Snapshot) -> bytes:
    """Return the snapshot as indented JSON."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(snapshot, order="deterministic"), indent=1)


def loads(data: bytes, facts: Mapping[str, type], where: str = "snapshot") -> Snapshot:
    """Read a snapshot back; ``facts`` maps names to classes.

    Facts of plug-ins that are not installed here are left out; the checks that need them are
    skipped for want of them.

    Raises:
        ScaledoctorError: not a snapshot, of another schema version, or a field is off.

    """
    import msgspec

    try:
        raw = msgspec.json.decode(data)
        version = raw.get("schema_version") if isinstance(raw, dict) else None
        if not isinstance(raw, dict) or "records" not in raw:
            raise ScaledoctorError(f"{where}: not a snapshot", "make one with: scaledoctor collect")
        if version != SCHEMA_VERSION:
            raise ScaledoctorError(
                f"{where}: snapshot of schema {version}, this version reads {SCHEMA_VERSION}",
                "collect again, or scan it with the version that wrote it",
            )
        snapshot = msgspec.convert(raw, Snapshot)
        return _typed(snapshot, facts)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise ScaledoctorError(f"{where}: not a readable snapshot: {error}") from None
    except RecursionError:
        raise ScaledoctorError(f"{where}: not a readable snapshot: nested too deeply") from None


def _typed(snapshot: Snapshot, facts: Mapping[str, type]) -> Snapshot:
    import msgspec

    records = tuple(
        replace(
            record,
            samples={
                name: tuple((at, msgspec.convert(value, facts[name])) for at, value in samples)
                for name, samples in record.samples.items()
                if name in facts and samples
            },
        )
        for record in snapshot.records
    )
    return replace(snapshot, records=records)


def read(path: Path, facts: Mapping[str, type]) -> Snapshot:
    """Read a snapshot file; ScaledoctorError names the file when it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ScaledoctorError(f"{path}: {error.strerror}") from None
    return loads(data, facts, str(path))
