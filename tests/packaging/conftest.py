"""The sdist and the wheel, built once from the working tree."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Built:
    """What ``python -m build`` made: the sdist, the wheel made from it, and the sdist unpacked."""

    sdist: Path
    wheel: Path
    tree: Path


def output(command: Sequence[str | Path], *, cwd: Path, **environment: str) -> str:
    """Run a command that must succeed and return its stdout."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build as a release does: the sdist from the tree, the wheel from the sdist."""
    folder = tmp_path_factory.mktemp("built")
    output([sys.executable, "-m", "build", "--outdir", folder, ROOT], cwd=folder)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return Built(sdist, wheel, folder / sdist.name.removesuffix(".tar.gz"))
