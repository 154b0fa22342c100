"""Configuration files: what they may say, where they are found, and what they do to a scan."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from scaledoctor.config import Ignore, find, load, tuned
from scaledoctor.errors import ScaledoctorError
from scaledoctor.model import Finding, Severity, Step
from scaledoctor.registry import Registry
from scaledoctor.registry import load as plugins
from scaledoctor.sdk import Reach, check
from tests.samples import holder, wraparound

WHOLE = """
[scan]
window = 30
fail-on = "high"
strict = true

[targets]
dsn = ["service=shop", { url = "postgresql://${WHO}@db2/ledger", name = "books" }]
nginx = "http://127.0.0.1:8080/status"

[thresholds."postgres.idle-in-transaction"]
older-than = 60

[[ignore]]
check = "postgres.connection-churn"
reason = "the pooler comes in spring"
until = 2027-03-31
"""


def written(folder: Path, text: str) -> Path:
    """A scaledoctor.toml in a folder."""
    path = folder / "scaledoctor.toml"
    path.write_text(text)
    return path


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    """Every section, with variables filled from the environment."""
    config = load(written(tmp_path, WHOLE), {"WHO": "app"})
    assert config.scan == {"window": 30, "fail-on": "high", "strict": True}
    assert config.targets == {
        "dsn": ("service=shop", "postgresql://app@db2/ledger"),
        "nginx": ("http://127.0.0.1:8080/status",),
    }
    assert config.names == {("dsn", "postgresql://app@db2/ledger"): "books"}
    assert config.thresholds == {"postgres.idle-in-transaction": {"older_than": 60}}
    assert config.ignores == (
        Ignore("postgres.connection-churn", "the pooler comes in spring", date(2027, 3, 31)),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[scan]\nwindw = 3", "scan: unknown key 'windw' (did you mean window?)"),
        ("[scna]", "unknown key 'scna' (did you mean scan?)"),
        ('[scan]\nwindow = "long"', "scan.window: 'long' is of the wrong type"),
        ("[scan]\nwindow = true", "scan.window: True is of the wrong type"),
        ("[scan]\nwindow = 601", "scan.window: 601 is not between 0 and 600 seconds"),
        ("[scan]\nwindow = nan", "scan.window: nan is not between 0 and 600 seconds"),
        ('[scan]\nfail-on = "hihg"', "scan.fail-on: 'hihg'"),
        ('[scan]\nchecks-dir = "x"', "scan: unknown key 'checks-dir'"),
        ("scan = 3", "scan: not a table"),
        ('[targets]\nnginxx = "x"', "targets: unknown key 'nginxx' (did you mean nginx?)"),
        ("[targets]\nnginx = 3", "targets.nginx: not a table"),
        ('[targets]\nnginx = { nmae = "x" }', "unknown key 'nmae' (did you mean name?)"),
        ('[targets]\nnginx = { name = "x" }', "targets.nginx: not a target"),
        ('[targets]\ndsn = "${NOBODY}"', "targets.dsn: the environment has no NOBODY"),
        ("[ignore]", "ignore: not a list of tables"),
        ('[[ignore]]\ncheck = "a.b"', "ignore 1: no reason"),
        ('[[ignore]]\nreason = "a"', "ignore 1: no check"),
        ('[[ignore]]\ncheck="a"\nreason=" "', "ignore 1: no reason"),
        ('[[ignore]]\ncheck="a"\nreason="b"\nuntil="soon"', "ignore 1: until = 'soon' is no date"),
        ("[[ignore]]\ncheck=1\nreason='b'", "ignore 1: check, reason, target and subject are"),
        ("x = [", "not TOML"),
    ],
)
def test_a_mistake_is_one_line_with_the_place(tmp_path: Path, text: str, words: str) -> None:
    """File, key, and what to write instead."""
    path = written(tmp_path, text)
    with pytest.raises(ScaledoctorError) as caught:
        load(path, {})
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    """A file that is not there, a folder, and bytes that are no text."""
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    for path, words in (
        (tmp_path / "none.toml", "No such file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "bytes.toml", "not UTF-8"),
    ):
        with pytest.raises(ScaledoctorError, match=words):
            load(path, {})


def test_the_nearest_file_of_the_repository_is_found(tmp_path: Path) -> None:
    """From a folder inside it, up to its root; scaledoctor.toml before pyproject.toml."""
    inside = tmp_path / "src" / "deep"
    inside.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    assert find(inside) is None
    (tmp_path / "pyproject.toml").write_text("[tool.other]")
    assert find(inside) is None
    (tmp_path / "pyproject.toml").write_text("[tool.scaledoctor.scan]\nwindow = 2")
    assert find(inside) == tmp_path / "pyproject.toml"
    assert load(tmp_path / "pyproject.toml", {}).scan == {"window": 2}
    nearer = written(tmp_path / "src", "")
    assert find(inside) == nearer


def test_outside_of_a_repository_only_the_folder_itself_counts(tmp_path: Path) -> None:
    """A stranger's file above it is not taken."""
    inside = tmp_path / "mine"
    inside.mkdir()
    path = written(tmp_path, "")
    assert find(inside) is None
    assert find(tmp_path) == path


def test_thresholds_reach_the_check(tmp_path: Path) -> None:
    """The plug-in runs with them; a value that is not given keeps its default; the docs stay."""

    @check("acme.x", step=Step.TIGHTEN)
    def x(server: Reach, /, *, more_than: float = 1.0, less_than: float = 9.0) -> Iterator[Finding]:
        """Something."""
        yield Finding(f"{more_than} {less_than}", "", Severity.LOW)

    config = load(written(tmp_path, '[thresholds."acme.x"]\nmore-than = 5'), {})
    after = tuned(Registry(checks={"acme.x": x}), config).checks["acme.x"]
    assert [f.subject for f in after(Reach(True, 0.0))] == ["5 9.0"]
    assert [f.subject for f in x(Reach(True, 0.0))] == ["1.0 9.0"]
    assert (after.id, after.title, after.signature) == ("acme.x", "Something", x.signature)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[thresholds."postgres.idle"]\na = 1', "no check 'postgres.idle'"),
        (
            '[thresholds."postgres.idle-in-transaction"]\noldr_than = 1',
            "no threshold 'oldr_than' (did you mean older_than?)",
        ),
        (
            '[thresholds."postgres.idle-in-transaction"]\nolder_than = "1"',
            "older_than = '1' (its default is 60.0)",
        ),
        (
            '[[ignore]]\ncheck = "postgres.dedlocks"\nreason = "x"',
            "did you mean postgres.deadlocks",
        ),
    ],
)
def test_an_unknown_check_or_threshold_is_an_error(tmp_path: Path, text: str, words: str) -> None:
    """With the nearest match."""
    with pytest.raises(ScaledoctorError) as caught:
        tuned(plugins(), load(written(tmp_path, text), {}))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("target", "subject", "covered"),
    [
        ("*", "*", True),
        ("postgres:*", "*", True),
        ("redis:*", "*", False),
        ("*", "public.ev*", True),
        ("*", "public", False),
    ],
)
def test_an_ignore_covers_by_check_target_and_subject(
    target: str, subject: str, covered: bool
) -> None:
    """Patterns, and the whole of them."""
    ignore = Ignore("postgres.wraparound", "x", target=target, subject=subject)
    assert ignore.covers(wraparound()) is covered
    assert not ignore.covers(holder())


@pytest.mark.parametrize(
    ("severity", "until", "holds"),
    [
        (Severity.MEDIUM, None, True),
        (Severity.HIGH, None, False),
        (Severity.CRITICAL, date(2026, 5, 4), True),
        (Severity.LOW, date(2026, 5, 3), False),
    ],
)
def test_an_ignore_holds_until_its_day(severity: Severity, until: date | None, holds: bool) -> None:
    """The last day counts; without a date it never covers what is high or critical."""
    finding = Finding("a", "b", severity)
    assert Ignore("x.y", "z", until).holds(finding, date(2026, 5, 4)) is holds
