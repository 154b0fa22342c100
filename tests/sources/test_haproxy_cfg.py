"""Reading haproxy.cfg: HAProxy's own syntax, files that are none, secrets, and size."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaledoctor.collect import collect
from scaledoctor.redact import Redactor
from scaledoctor.registry import load
from scaledoctor.sdk import Unreachable
from scaledoctor.snapshot import Record
from scaledoctor.sources.haproxy_cfg import MOST_BYTES, MOST_LINES, HaproxyCfg, parse
from scaledoctor.targets import targets


def read(path: Path) -> Record:
    """What a scan makes of the file."""
    found = targets({"haproxy-cfg": [str(path)]}, {})
    return collect(found[1:], load(), Redactor(), 0.0).records[0]


def test_words_are_split_as_haproxy_splits_them() -> None:
    """Quotes of both kinds, backslashes, comments, Windows' line ends, and no macro."""
    text = (
        "# comment\r\nglobal # here too\n.if defined(X)\n"
        "  maxconn 10 # ten\r\n"
        '  stats socket "/run/a b.sock"   level\\ admin\n'
        "  stats timeout '1\"0s'#\n"
        ".endif\n"
    )
    (section,) = parse(text, "x").sections
    assert (section.kind, section.line) == ("global", 2)
    assert [d.words for d in section.directives] == [
        ("maxconn", "10"),
        ("stats", "socket", "/run/a b.sock", "level admin"),
        ("stats", "timeout", '1"0s'),
    ]


def test_sections_inherit_from_the_defaults_above_or_the_named_ones() -> None:
    """The last anonymous one, or ``from``; ``no option`` takes back what was inherited."""
    cfg = parse(
        "backend none\n  mode http\n"
        "defaults one\n  option redispatch\n  timeout server 1s\n"
        "defaults two from one\n  timeout server 2s\n"
        "backend last\n"
        "backend first from one\n  no option redispatch\n",
        "haproxy.cfg",
    )
    none, last, first = cfg.proxies
    assert cfg.setting(none, "timeout server") is None
    for section, seconds in ((last, "2s"), (first, "1s")):
        line = cfg.setting(section, "timeout server")
        assert line is not None
        assert line.words[-1] == seconds
    assert cfg.on(last, "redispatch") is not None
    assert cfg.on(first, "redispatch") is None
    assert cfg.place(7) == "haproxy.cfg:7"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello\n", r"x:1: no section of HAProxy begins here"),
        ("global\n maxconn 'ten\n", r"x:2: a quote is not closed"),
        ("defaults a from b\ndefaults b from a\n", r"x:1: defaults a from b: no such defaults"),
        ("defaults a from a\n", r"x:1: defaults a from a: no such defaults"),
        ("backend b from\n", r"x:1: backend b from : no such defaults"),
        ("", r"x has no section"),
        ("userlist u\n user a password b\n", r"x has no section"),
    ],
    ids=["words", "quote", "a ring", "itself", "nothing", "empty", "other sections"],
)
def test_what_haproxy_would_refuse_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(Unreachable, match=message):
        parse(text, "x")


@given(
    st.text(
        alphabet=st.sampled_from("abc \\\"'#\n\r\t.ébackend global default server"), max_size=200
    )
)
def test_any_text_is_read_or_refused(text: str) -> None:
    """Never anything but a configuration or a refusal."""
    with suppress(Unreachable):
        assert parse(text, "x").sections


def test_secrets_and_headers_are_left_out(tmp_path: Path) -> None:
    """Passwords of users, of the page, of headers, of a server's check."""
    path = tmp_path / "haproxy.cfg"
    path.write_text(
        "global\n  user haproxy\n"
        "userlist u\n  user a insecure-password s3cr3t\n"
        "backend app\n  stats auth me:s3cr3t\n"
        '  http-request set-header Authorization "Basic czNjcjN0czNjcjN0"\n'
        "  option httpchk GET /?token=s3cr3t\n"
        "  server s1 10.0.0.1:80 check\n"
    )
    record = read(path)
    assert record.reach.ok
    assert len(record.samples["HaproxyCfg"]) == 1
    cfg: HaproxyCfg = record.samples["HaproxyCfg"][0][1]
    assert "s3cr3t" not in repr(cfg)
    assert "czNjcjN0" not in repr(cfg)
    assert cfg.proxies[0].own("stats auth")[0].words == ("stats", "auth", "***")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x7fELF\0\0global\n", "is not a text file"),
        (b"global\n" + b"# " * (MOST_BYTES // 2) + b"\n", "is larger than 16 MB"),
        (b"\xff\xfe\xfa not utf-8\n", "haproxy.cfg:1: no section"),
    ],
    ids=["binary", "huge", "latin"],
)
def test_no_configuration_is_one_clear_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "haproxy.cfg"
    path.write_bytes(data)
    record = read(path)
    assert not record.reach.ok
    assert message in record.reach.message
    assert record.failures == ()


def test_a_file_that_vanished(tmp_path: Path) -> None:
    path = tmp_path / "haproxy.cfg"
    path.write_text("global\n")
    found = targets({"haproxy-cfg": [str(path)]}, {})
    path.unlink()
    record = collect(found[1:], load(), Redactor(), 0.0).records[0]
    assert "No such file" in record.reach.message


def test_a_hundred_thousand_servers_are_bounded() -> None:
    """Read in seconds, and what is beyond the bound is counted."""
    rows = (f"  server s{i} 10.0.0.1:80 check\n" for i in range(100_000))
    cfg = parse("backend app\n" + "".join(rows), "x")
    assert len(cfg.sections[0].directives) == MOST_LINES
    assert cfg.left_out == 50_000
