"""What is released can be installed and used far away from the repository."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT, Built, output

pytestmark = pytest.mark.slow

PLUGINS = """
import scaledoctor_checks, scaledoctor_reports
from scaledoctor.registry import load
found = load()
assert not found.problems, found.problems
print(*{scaledoctor_checks.__file__, scaledoctor_reports.__file__, __import__("scaledoctor").__file__})
print(*found.sources, *found.renderers, *found.checks, *found.resources)
"""  # noqa: E501  a line of a program


def fresh(folder: Path, *requirements: str | Path) -> Path:
    """The programs of a new virtual environment with these packages and what they need."""
    output([sys.executable, "-m", "venv", folder], cwd=folder.parent)
    options = ["-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt")]
    output([folder / "bin" / "python", *options, *requirements], cwd=folder.parent)
    return folder / "bin"


def test_the_wheel_works_in_a_fresh_environment(built: Built, tmp_path: Path) -> None:
    """Commands run, and the entry points lead to the installed plug-ins."""
    programs = fresh(tmp_path / "venv", built.wheel)
    scaledoctor = programs / "scaledoctor"
    assert output([scaledoctor, "--version"], cwd=tmp_path).startswith("scaledoctor ")
    assert "--fail-on" in output([scaledoctor, "scan", "--help"], cwd=tmp_path)
    assert "postgres.idle-in-transaction" in output([scaledoctor, "checks"], cwd=tmp_path)
    files, names = output([programs / "python", "-c", PLUGINS], cwd=tmp_path).splitlines()
    assert all(Path(file).is_relative_to(tmp_path / "venv") for file in files.split())
    assert {"host", "postgres", "terminal", "markdown", "json", "postgres.locks"} <= set(
        names.split()
    )
    done = subprocess.run(
        [scaledoctor, "scan", "--window", "0"], cwd=tmp_path, env={}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_wheel_holds_the_packages_and_says_that_they_are_typed(built: Built) -> None:
    """Three packages, nothing of tests or lab, and the same files with the sdist or without it."""
    names = zipfile.ZipFile(built.wheel).namelist()
    packages = {"scaledoctor", "scaledoctor_checks", "scaledoctor_reports"}
    assert {f"{package}/py.typed" for package in packages} <= set(names)
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == packages
    direct = built.wheel.parent / "direct"
    output([sys.executable, "-m", "build", "-w", "--outdir", direct, ROOT], cwd=ROOT)
    (wheel,) = direct.glob("*.whl")
    assert zipfile.ZipFile(wheel).namelist() == names


def test_the_sdist_is_a_full_checkout(built: Built) -> None:
    """Every file under version control is in it, but for git's own settings."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing to compare with")
    tracked = output(["git", "ls-files"], cwd=ROOT).splitlines()
    missing = [name for name in tracked if not (built.tree / name).exists()]
    assert [name for name in missing if (ROOT / name).exists()] == []


def test_an_editable_installation_sees_a_new_check_at_once(built: Built, tmp_path: Path) -> None:
    """checks/ and reports/ are source roots of their own."""
    tree = tmp_path / "tree"
    shutil.copytree(built.tree, tree)
    programs = fresh(tmp_path / "venv", "-e", tree)
    assert "postgres.new-check" not in output([programs / "scaledoctor", "checks"], cwd=tmp_path)
    old = tree / "checks" / "scaledoctor_checks" / "postgres" / "ddl_queue.py"
    text = old.read_text().replace("postgres.ddl-queue", "postgres.new-check")
    old.with_name("new.py").write_text(text)
    assert "postgres.new-check" in output([programs / "scaledoctor", "checks"], cwd=tmp_path)


@pytest.mark.skipif(shutil.which("uvx") is None, reason="uv is not installed (pip install uv)")
def test_uvx_runs_it_from_a_checkout_and_writes_nothing_there(built: Built) -> None:
    """As the README says; a lock file would name the index of whoever ran it."""
    before = {p for p in built.tree.rglob("*") if "__pycache__" not in p.parts}
    command = ["uvx", "--refresh-package", "scaledoctor", "--from", "."]
    assert "scaledoctor" in output([*command, "scaledoctor", "--version"], cwd=built.tree)
    after = {p for p in built.tree.rglob("*") if "__pycache__" not in p.parts}
    assert after == before
