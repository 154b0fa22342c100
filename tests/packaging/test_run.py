"""The run script, from an unpacked sdist to the command's first line."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.packaging.conftest import Built, output

pytestmark = pytest.mark.slow


@pytest.fixture
def tree(built: Built, tmp_path: Path) -> Iterator[Path]:
    """A clean checkout in a folder whose name has a blank."""
    folder = tmp_path / "a checkout"
    shutil.copytree(built.tree, folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with pip; the one that runs the tests may be of an environment without."""
    folder = tmp_path_factory.mktemp("python")
    output([sys.executable, "-m", "venv", folder], cwd=folder)
    return folder / "bin" / "python"


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment without uv, and for Python without ensurepip as on a bare Debian."""
    (tmp_path / "missing" / "ensurepip").mkdir(parents=True)
    absent = tmp_path / "missing" / "ensurepip" / "__init__.py"
    absent.write_text("raise ImportError('No module named ensurepip')\n")
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "SCALEDOCTOR_"))}
    return {**ours, "PATH": str(tmp_path / "missing"), "PYTHONPATH": str(tmp_path / "missing")}


def run(
    python: Path, tree: Path, *words: str, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Start the script from another folder."""
    command = [str(python), str(tree / "run"), *words]
    return subprocess.run(
        command, cwd=tree.parent, env=env, capture_output=True, text=True, check=False
    )


def test_pip_alone_is_enough_and_the_second_start_installs_nothing(
    python: Path, tree: Path, bare: dict[str, str]
) -> None:
    """Progress is on stderr and nothing else is; a moved checkout is installed anew."""
    first = run(python, tree, "--version", env=bare)
    assert first.stdout.startswith("scaledoctor "), first.stderr
    lines = first.stderr.splitlines()
    assert lines[0] == "run: making the virtual environment ..."
    assert {line.partition(" ...")[0] for line in lines} == {
        "run: making the virtual environment",
        "run: installing packages",
    }
    assert not (tree / ".venv" / "bin" / "pip").exists()
    second = run(python, tree, "scan", "--help", env=bare)
    assert (second.returncode, second.stderr) == (0, "")
    assert "--fail-on" in second.stdout
    moved = tree.rename(tree.with_name("moved"))
    try:
        again = run(python, moved, "--version", env=bare)
        assert again.stdout == first.stdout
        assert "installing packages" in again.stderr
    finally:
        moved.rename(tree)


def test_without_any_installer_it_says_what_to_install(
    python: Path, tree: Path, bare: dict[str, str]
) -> None:
    """One line, and no traceback."""
    absent = Path(bare["PYTHONPATH"]) / "pip"
    absent.mkdir()
    (absent / "__init__.py").write_text("raise ImportError('No module named pip')\n")
    done = run(python, tree, "--version", env=bare)
    assert done.returncode == 1
    assert done.stderr.startswith("run: needs one of: uv, the venv module")
    assert len(done.stderr.splitlines()) == 1


def test_an_interrupted_installation_is_done_again(python: Path, tree: Path) -> None:
    """Ctrl-C in the middle ends the installer too; the next start is complete."""
    command = [str(python), str(tree / "run"), "--version"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as first:
        assert first.stderr is not None
        while "installing" not in first.stderr.readline():
            assert first.poll() is None
        first.send_signal(signal.SIGINT)
        said = first.stderr.read()
    assert first.returncode == 130
    assert said.splitlines()[-1] == "run: interrupted"
    second = run(python, tree, "--version", env=os.environ)
    assert second.stdout.startswith("scaledoctor "), second.stderr
    assert "installing packages" in second.stderr


def test_a_folder_that_cannot_be_written_is_named(python: Path, tree: Path) -> None:
    """Somebody else's checkout is used with an environment of one's own."""
    done = run(python, tree, "--version", env={**os.environ, "SCALEDOCTOR_VENV": "/proc/venv"})
    assert done.returncode == 1
    assert "SCALEDOCTOR_VENV" in done.stderr
    assert "Traceback" not in done.stderr
