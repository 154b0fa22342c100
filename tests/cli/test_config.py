"""A configuration beside the command line, on a real server."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.test_exit_codes import MEDIUM, nobody

pytestmark = pytest.mark.live


def write(text: str) -> None:
    """The configuration of the folder that we work in."""
    Path("scaledoctor.toml").write_text(text)


def test_targets_and_options_come_from_the_file(cli: Cli, dsn: str) -> None:
    """The target under its own name, the window as given there."""
    write(f'[scan]\nwindow = 0\n[targets]\ndsn = {{ url = "{dsn}", name = "books" }}\n')
    done = cli("scan", "-o", "json")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    assert found["run"]["window"] == 0
    assert [t["name"] for t in found["targets"]] == ["host", "postgres:books"]


def test_the_command_line_is_above_the_environment_above_the_file(
    cli: Cli, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For targets and for options."""
    write(f'[scan]\nwindow = 7\n[targets]\ndsn = "{nobody()}"\n')
    monkeypatch.setenv("SCALEDOCTOR_WINDOW", "0")
    monkeypatch.setenv("SCALEDOCTOR_DSN", dsn)
    found = json.loads(cli("scan", "-o", "json").out)
    assert (found["run"]["window"], found["targets"][1]["ok"]) == (0, True)
    assert cli("scan", "--dsn", nobody()).code == 3
    monkeypatch.setenv("SCALEDOCTOR_WINDOW", "601")
    assert cli("scan", "--window", "0").code == 0
    assert cli("scan").code == 2


def test_an_ignored_finding_is_counted_and_does_not_fail(
    cli: Cli, snapshot: Path, tmp_path: Path
) -> None:
    """It stands with its reason; without the file it fails."""
    (tmp_path / "always.py").write_text(MEDIUM)
    common = ("scan", "--from", snapshot, "--checks-dir", tmp_path, "--fail-on", "low")
    assert cli(*common).code == 1
    write('[[ignore]]\ncheck = "acme.always"\nreason = "on purpose"\n')
    done = cli(*common, "-v")
    assert (done.code, done.err) == (0, "")
    assert "1 finding suppressed by the configuration" in done.out
    assert "acme.always, acme: on purpose" in done.out
    found = json.loads(cli(*common, "-o", "json").out)
    assert [s["reason"] for s in found["suppressed"]] == ["on purpose"]
    assert cli(*common, "--config", "/dev/null").code == 1


def test_a_mistake_in_the_file_is_one_line(cli: Cli) -> None:
    """And exit code 2, before anything is looked at."""
    write("[scan]\nwindw = 3\n")
    done = cli("scan")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.endswith("scan: unknown key 'windw' (did you mean window?)\n")
    assert cli("scan", "--config", "missing.toml").code == 2


def test_config_show_tells_the_origin_and_no_secret(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values of file and environment, targets without their passwords."""
    write(f'[scan]\nwindow = 7\n[targets]\ndsn = "{nobody()}"\n')
    monkeypatch.setenv("SCALEDOCTOR_STRICT", "1")
    monkeypatch.setenv("SCALEDOCTOR_REDIS", "redis://:s3cret@127.0.0.1:1/0")
    done = cli("config", "show", "--origin")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert [line.split(" = ")[0] for line in lines[1:]] == [
        "scan.window", "scan.strict", "targets.dsn", "targets.redis",
    ]  # fmt: skip
    assert lines[2].endswith("# environment: SCALEDOCTOR_STRICT")
    assert lines[3].endswith("scaledoctor.toml")
    assert "s3cret" not in done.out


def test_a_dsn_comes_from_a_file(cli: Cli, dsn: str, tmp_path: Path) -> None:
    """One line and nothing else; no such file and an empty one are told."""
    path = tmp_path / "dsn"
    path.write_text(f"{dsn}\n")
    assert cli("scan", "--window", 0, "--dsn-file", path).code == 0
    path.write_text("\n")
    assert "it is empty" in cli("scan", "--dsn-file", path).err
    path.write_text("a\nb\n")
    assert "more than one line" in cli("scan", "--dsn-file", path).err
    assert "No such file" in cli("scan", "--dsn-file", tmp_path / "none").err


def test_a_password_on_the_command_line_is_warned_of(cli: Cli) -> None:
    """By the option's name, never by its value."""
    done = cli("scan", "--window", 0, "--dsn", nobody())
    assert "--dsn holds a password" in done.err
    assert "s3cret" not in done.err


def test_init_writes_a_file_once(cli: Cli, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan can use it as it is; a file that is there is never replaced."""
    monkeypatch.setenv("SHOP_DB", dsn)
    done = cli("init")
    assert (done.code, done.out) == (0, "")
    assert done.err == "wrote scaledoctor.toml: 1 target; read it, then: scaledoctor scan\n"
    assert json.loads(cli("scan", "--window", 0, "-o", "json").out)["targets"][1]["ok"] is True
    again = cli("init")
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert "is there already" in again.err
    assert 'dsn = [\n  "${SHOP_DB}",  # environment\n]' in cli("init", "-o", "-").out
