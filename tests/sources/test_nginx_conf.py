"""nginx's configuration: words, includes, inheritance, and one clear line for what is none."""

import importlib.util
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaledoctor.errors import Unreachable
from scaledoctor.sdk import Redactor
from scaledoctor.sources.nginx_conf import NginxConf, _files, _lexer
from scaledoctor.sources.nginx_conf._extract import extract
from scaledoctor.sources.nginx_conf._files import read
from scaledoctor.sources.nginx_conf._upstreams import seconds
from tests.balancers import reached, scan


@pytest.fixture(params=["crossplane", "own"])
def lexer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both lexers, one after the other."""
    if request.param == "own":
        monkeypatch.setattr(_lexer, "CROSSPLANE", "no_module_of_this_name")
    elif importlib.util.find_spec("crossplane") is None:
        pytest.skip("crossplane is not installed (pip install 'scaledoctor[nginx]')")
    return str(request.param)


def conf(folder: Path, text: str, **others: str) -> NginxConf:
    """The facts of a main file with these texts beside it, as ``NAME_conf``."""
    main = folder / "nginx.conf"
    main.write_text(text)
    for name, other in others.items():
        (folder / name.replace("_", ".")).write_text(other)
    directives, reader = read(main)
    return extract(directives, Redactor(), reader.files, reader.missing)


def refused(path: Path) -> str:
    with pytest.raises(Unreachable) as no:
        read(path)
    assert "\n" not in no.value.message
    return no.value.message


SHOP = """
user www-data;
worker_processes auto;
worker_rlimit_nofile 8192;
events { worker_connections 4096; }
http {
    log_format up '$remote_addr "$request" '
                  '$upstream_addr $upstream_response_time'; # two lines
    access_log /var/log/nginx/up.log up buffer=32k;
    map $http_upgrade $connection_upgrade { default upgrade; '' close; }
    proxy_connect_timeout 2s;
    upstream shop {
        least_conn;
        zone shop 64k;
        server 10.0.0.1:8000 weight=3 max_fails=2 fail_timeout=30s;
        server 10.0.0.2:8000 backup;
        server "10.0.0.3:8000" down;
        keepalive 16;
    }
    server {
        listen 80;
        server_name shop.example www.shop.example;
        proxy_set_header Host $host;
        location / { proxy_pass http://shop; proxy_http_version 1.1; }
        location /ws/ {
            proxy_set_header Connection $connection_upgrade;
            proxy_pass http://shop/ws;
        }
        location ~ "^/a{1,2}$" {
            if ($request_method = POST) { proxy_pass http://127.0.0.1:9000; }
            proxy_read_timeout 1m30s;
        }
        location /any { set $to http://elsewhere; proxy_pass $to; }
        location /sock { proxy_pass http://unix:/run/app.sock:/x; }
    }
}
stream {
    upstream db { server 10.0.0.9:5432; }
    server { listen 5432; proxy_pass db; proxy_timeout 10m; }
}
"""


def test_everything_is_read_with_its_line(tmp_path: Path, lexer: str) -> None:
    found = conf(tmp_path, SHOP)
    assert (found.workers, found.worker_connections) == (None, 4096)
    assert found.nofile
    assert found.nofile.value == "8192"
    shop, db = found.upstreams
    assert (shop.method, shop.keepalive, shop.zone, shop.stream) == ("least_conn", 16, True, False)
    assert [m.address for m in shop.usable] == ["10.0.0.1:8000"]
    first, backup, down = shop.members
    assert (first.weight, first.max_fails, first.fail_timeout) == (3, 2, 30.0)
    assert str(first.place) == f"{tmp_path}/nginx.conf:15"
    assert (backup.backup, down.down, down.address) == (True, True, "10.0.0.3:8000")
    assert db.stream
    assert [log.upstream for log in found.logs] == [True]


def test_passes_inherit_as_nginx_does(tmp_path: Path, lexer: str) -> None:
    """A block's own proxy_set_header replaces all inherited ones; other settings are replaced
    one by one."""
    found = conf(tmp_path, SHOP)
    by_line = {p.place.line: p for p in found.passes}
    root, ws, inside, variable, socket, db = (by_line[n] for n in sorted(by_line))
    assert root.where == "server shop.example location /"
    assert (root.target, root.http_version, root.connect_timeout) == ("shop", "1.1", 2.0)
    assert (root.connection, root.connection_known) == (None, True)
    assert (ws.target, ws.connection) == ("shop", "close")  # what the map gives without Upgrade
    assert (inside.target, inside.read_timeout) == ("127.0.0.1:9000", 90.0)
    assert variable.target == ""
    assert socket.target == "unix:/run/app.sock"
    assert (db.protocol, db.target, db.read_timeout) == ("stream", "db", 600.0)


def test_lua_is_one_word(tmp_path: Path, lexer: str) -> None:
    text = """http { server {
        content_by_lua_block { local a = {1, '}'} ngx.say("}") }
        location / { proxy_pass http://127.0.0.1:1; }
    } }"""
    assert [p.place.line for p in conf(tmp_path, text).passes] == [3]


def test_lua_with_a_brace_in_a_comment_is_read_by_our_own_lexer(tmp_path: Path) -> None:
    """crossplane miscounts it (its issue 87); the file is read all the same."""
    text = """http { server {
        access_by_lua_block {
            -- that's }
            local s = [[ } ]]
        }
        location / { proxy_pass http://127.0.0.1:1; }
    } }"""
    words = list(_lexer.own_words(text))
    assert [w.text for w in words if w.text == "proxy_pass"]
    assert sum(w.mark == "{" for w in words) == sum(w.mark == "}" for w in words)


def test_includes_stand_where_they_are_included(tmp_path: Path, lexer: str) -> None:
    """Relative to the main file, globs in order, the same snippet in two servers."""
    found = conf(
        tmp_path,
        "http { include *.site; include nothing-*.conf; }",
        a_site="server { server_name a; include snip; location / { proxy_pass http://x:1; } }",
        b_site="server { server_name b; include snip; location / { proxy_pass http://x:2; } }",
        snip="proxy_connect_timeout 7s;",
    )
    assert [(p.where.split()[1], p.connect_timeout) for p in found.passes] == [
        ("a", 7.0),
        ("b", 7.0),
    ]
    assert (found.files, found.missing) == (5, ())


def test_a_missing_include_is_told_and_the_rest_is_read(tmp_path: Path, lexer: str) -> None:
    found = conf(tmp_path, "events {}\nhttp { include gone.conf; upstream u { server a:1; } }")
    assert found.missing == (
        f"{tmp_path}/nginx.conf:2 includes {tmp_path}/gone.conf: No such file or directory",
    )
    assert [u.name for u in found.upstreams] == ["u"]


def test_files_that_include_each_other_are_refused(tmp_path: Path, lexer: str) -> None:
    (tmp_path / "a").write_text("events {}\ninclude b;")
    (tmp_path / "b").write_text("include a;")
    assert refused(tmp_path / "a") == (
        f"{tmp_path}/b:1: files include each other: {tmp_path}/a -> {tmp_path}/b -> {tmp_path}/a"
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x7fELF\x00\x01\x02", "is no text file"),
        (b"PK\x03\x04 nonsense", "the file ends where ; or { is expected"),
        (b"http {", "the file ends where } is expected"),
        (b"http { }\n}", ":2: unexpected }"),
        (b"http { ; }", ":1: unexpected ;"),
        (b"events {}\nhttp { a 'b; }", ":2: ' is not closed"),
        (b"http {" * 60, "blocks nested deeper than 50"),
        (b"", "this is no nginx configuration"),
        (b"[global]\nmaxconn = 10;\n", "this is no nginx configuration"),
    ],
)
def test_what_is_none_gives_one_line(tmp_path: Path, lexer: str, data: bytes, says: str) -> None:
    path = tmp_path / "nginx.conf"
    path.write_bytes(data)
    message = refused(path)
    assert message.startswith(str(path))
    assert says in message


def test_a_pipe_and_a_folder_are_not_opened(tmp_path: Path, lexer: str) -> None:
    """Reading a FIFO would wait for ever."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "nginx.conf").write_text("events {} include fifo;")
    assert "no ordinary file" in refused(tmp_path / "nginx.conf")
    (tmp_path / "nginx.conf").write_text(f"events {{}} include {tmp_path};")
    assert "no ordinary file" in refused(tmp_path / "nginx.conf")


def test_a_configuration_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_files, "MOST_BYTES", 100)
    (tmp_path / "nginx.conf").write_text("# " + "x" * 200)
    assert "is larger than" in refused(tmp_path / "nginx.conf")


@given(st.text(alphabet="{};'\"\\$# \nab_", max_size=40))
def test_no_text_is_a_crash(text: str) -> None:
    line = 1
    try:
        list(_lexer.own_words(text))
    except _lexer.BadSyntax as bad:
        line = bad.line
    assert 1 <= line <= text.count("\n") + 1


PLAIN = st.lists(
    st.lists(
        st.one_of(
            st.text(alphabet="abc$-/.=", min_size=1, max_size=6),
            st.text(alphabet="ab {};#", max_size=6).map(lambda t: f'"{t}"'),
        ),
        min_size=1,
        max_size=4,
    ),
    max_size=5,
)


@given(PLAIN)
def test_both_lexers_say_the_same(
    tmp_path_factory: pytest.TempPathFactory, statements: list[list[str]]
) -> None:
    if importlib.util.find_spec("crossplane") is None:
        pytest.skip("crossplane is not installed (pip install 'scaledoctor[nginx]')")
    path = tmp_path_factory.mktemp("lex") / "x.conf"
    text = "".join(" ".join(words) + ";\n" for words in statements)
    path.write_text(text)
    assert _lexer.words(path, text) == list(_lexer.own_words(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("60", 60.0), ("500ms", 0.5), ("1m30s", 90.0), ("2h", 7200.0), ("", 7.0), ("soon", 7.0)],
)
def test_times(text: str, expected: float) -> None:
    assert seconds(text, 7.0) == pytest.approx(expected)


def test_debians_own_configuration_is_read(lexer: str) -> None:
    path = Path("/etc/nginx/nginx.conf")
    if not path.exists():
        pytest.skip("nginx is not installed (apt-get install nginx-light)")
    directives, reader = read(path)
    found = extract(directives, Redactor(), reader.files, reader.missing)
    assert (found.workers, found.worker_connections, found.missing) == (None, 768, ())


def test_a_scan_says_why_it_could_not_read(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text("http {")
    (record,) = scan(0, nginx_conf=str(tmp_path / "nginx.conf")).snapshot.records
    assert (record.reach.ok, record.reach.category) == (False, "syntax")
    assert record.reach.message == f"{tmp_path}/nginx.conf:1: the file ends where }} is expected"


def test_no_secret_is_kept(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text(
        """http { server {
        location /?token=abcdef12345 { proxy_pass http://user:hunter2@10.0.0.1:80; }
        location /b { proxy_set_header Authorization "Bearer topsecret123"; proxy_pass http://b; }
        } }"""
    )
    seen = scan(0, nginx_conf=str(tmp_path / "nginx.conf"))
    assert not any(
        word in str(seen.fact("NginxConf")) for word in ("hunter2", "topsecret", "abcdef")
    )


def test_the_session_is_opened_on_a_file(tmp_path: Path) -> None:
    from scaledoctor.sources.nginx_conf.session import nginx_conf_files

    (tmp_path / "nginx.conf").write_text("events {}")
    session = reached(nginx_conf_files.function, "nginx-conf", str(tmp_path / "nginx.conf"))
    assert session.conf.files == 1
