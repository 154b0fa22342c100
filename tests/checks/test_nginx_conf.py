"""The lint of nginx.conf: quiet on a good one, and each rule where it begins, with its line."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from scaledoctor.model import Finding, Kind
from scaledoctor.sdk import Confidence, Redactor, Severity
from scaledoctor.sources.nginx import NginxServer
from scaledoctor.sources.nginx_conf import NginxConf, _lexer
from scaledoctor.sources.nginx_conf._extract import extract
from scaledoctor.sources.nginx_conf._files import read
from scaledoctor_checks.balancing._bounded import MOST
from scaledoctor_checks.balancing.nginx_conf import (
    connect_timeout,
    include_unread,
    retries_unlimited,
    worker_limits,
)
from scaledoctor_checks.balancing.nginx_keepalive import upstream_keepalive
from scaledoctor_checks.balancing.nginx_upstreams import (
    balancing_advice,
    dead_member,
    hash_balancing,
    last_member_ejected,
    never_ejected,
    single_member,
)
from tests.balancers import scan

CHECKS = (
    worker_limits, connect_timeout, retries_unlimited, include_unread, balancing_advice,
    dead_member, hash_balancing, last_member_ejected, never_ejected, single_member,
)  # fmt: skip

OLD, NEW = NginxServer("nginx/1.29.6", "1.29.6"), NginxServer("nginx/1.29.7", "1.29.7")

GOOD = """
worker_processes auto;
worker_rlimit_nofile 8192;
events { worker_connections 4096; }
http {
    proxy_connect_timeout 3s;
    proxy_next_upstream_tries 2;
    proxy_next_upstream_timeout 10s;
    upstream shop {
        zone shop 64k;
        least_conn;
        server 10.0.0.1:8000 max_fails=3 fail_timeout=10s;
        server 10.0.0.2:8000 max_fails=3 fail_timeout=10s;
        keepalive 32;
    }
    server {
        listen 80;
        location / {
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass http://shop;
        }
        location /static/ { root /srv; }
    }
}
"""


@pytest.fixture(params=["crossplane", "own"])
def lexer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "own":
        monkeypatch.setattr(_lexer, "CROSSPLANE", "no_module_of_this_name")
    else:
        pytest.importorskip("crossplane", reason="pip install 'scaledoctor[nginx]'")


class Lint:
    """Reads a text as nginx.conf."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "nginx.conf"

    def conf(self, text: str) -> NginxConf:
        self.path.write_text(text)
        directives, reader = read(self.path)
        return extract(directives, Redactor(), reader.files, reader.missing)

    def upstream(self, *lines: str, passed: str = "proxy_pass http://shop;") -> NginxConf:
        """An upstream "shop" with these lines, from line 2 on."""
        inside = "\n".join(lines)
        location = f"server {{ listen 80; location / {{ {passed} }} }}"
        return self.conf(f"http {{ upstream shop {{\n{inside}\n}}\n{location} }}")


@pytest.fixture
def lint(tmp_path: Path, lexer: None) -> Lint:
    return Lint(tmp_path)


def one(findings: Iterable[Finding]) -> Finding:
    (finding,) = findings
    assert finding.kind in (Kind.RISK, Kind.BLIND_SPOT)
    assert all(f.commands and f.risk and f.verify and f.undo for f in finding.fixes)
    return finding


def test_a_good_configuration_is_quiet(lint: Lint) -> None:
    conf = lint.conf(GOOD)
    assert [f for check in CHECKS for f in check(conf)] == []
    for server in (None, OLD, NEW):
        assert list(upstream_keepalive(conf, server)) == []


def test_a_static_site_is_quiet(lint: Lint) -> None:
    conf = lint.conf("events {}\nhttp { server { root /srv; } }")
    assert [f for check in CHECKS for f in check(conf)] == []
    assert list(upstream_keepalive(conf, None)) == []


SITE = "http {{ server {{ location / {{ proxy_pass http://10.0.0.1:80; }} }} }}"


@pytest.mark.parametrize(
    ("main", "subject", "severity"),
    [
        ("events { worker_connections 1023; }", "worker_connections", Severity.LOW),
        ("events {}", "worker_connections", Severity.LOW),
        ("events { worker_connections 1024; }", "", None),
        ("events { worker_connections 1025; }", "worker_rlimit_nofile", Severity.LOW),
        ("worker_rlimit_nofile 2048; events { worker_connections 2048; }", "", None),
        ("worker_rlimit_nofile 2047; events { worker_connections 2048; }",
         "worker_rlimit_nofile", Severity.MEDIUM),
    ],
)  # fmt: skip
def test_worker_limits(lint: Lint, main: str, subject: str, severity: Severity | None) -> None:
    found = list(worker_limits(lint.conf(f"{main}\n{SITE.format()}")))
    assert [f.subject for f in found] == ([subject] if subject else [])
    assert [f.severity for f in found] == ([severity] if severity else [])


def test_a_limit_has_its_place(lint: Lint) -> None:
    found = one(worker_limits(lint.conf("\nevents {\nworker_connections 100; }\n" + SITE.format())))
    assert f"{lint.path}:3" in found.summary
    assert f"# {lint.path}:3" in found.fixes[0].commands


@pytest.mark.parametrize(("timeout", "fires"), [("10s", False), ("10001ms", True), ("", True)])
def test_connect_timeout(lint: Lint, timeout: str, fires: bool) -> None:
    setting = f"proxy_connect_timeout {timeout};" if timeout else ""
    conf = lint.upstream("server a:1; server b:1;", passed=f"{setting} proxy_pass http://shop;")
    assert bool(list(connect_timeout(conf))) is fires


def test_connect_timeout_names_every_place_and_counts_the_rest(lint: Lint) -> None:
    locations = "\n".join(f"location /{i} {{ proxy_pass http://10.0.0.1:80; }}" for i in range(5))
    found = one(connect_timeout(lint.conf(f"http {{ server {{\n{locations}\n}} }}")))
    assert found.subject == "10.0.0.1:80"
    assert f"({lint.path}:2, {lint.path}:3, {lint.path}:4 and 2 more)" in found.summary


def test_sockets_and_variables_have_no_connect_timeout(lint: Lint) -> None:
    conf = lint.conf(
        "http { server { location / { proxy_pass http://unix:/run/a.sock; }"
        "location /v { proxy_pass http://$backend; } } }"
    )
    assert list(connect_timeout(conf)) == []
    assert list(upstream_keepalive(conf, None)) == []
    assert list(single_member(conf)) == []


@pytest.mark.parametrize(
    ("setting", "fires"),
    [
        ("", True),
        ("proxy_next_upstream off;", False),
        ("proxy_next_upstream_tries 2;", False),
        ("proxy_next_upstream_timeout 10s;", False),
        ("proxy_connect_timeout 5s; proxy_read_timeout 10s;", False),  # 2 members: 30 s
        ("proxy_connect_timeout 5s; proxy_read_timeout 11s;", True),
    ],
)
def test_retries_without_a_limit(lint: Lint, setting: str, fires: bool) -> None:
    conf = lint.upstream("server a:1; server b:1;", passed=f"{setting} proxy_pass http://shop;")
    assert bool(list(retries_unlimited(conf))) is fires


def test_one_member_is_not_retried(lint: Lint) -> None:
    assert list(retries_unlimited(lint.upstream("server a:1; server b:1 backup;"))) == []


@pytest.mark.parametrize(
    ("method", "severity"),
    [
        ("ip_hash;", Severity.LOW),
        ("hash $request_uri;", Severity.LOW),
        ("hash $request_uri consistent;", Severity.INFO),
        ("random two least_conn;", None),
    ],
)
def test_hash_balancing(lint: Lint, method: str, severity: Severity | None) -> None:
    found = list(hash_balancing(lint.upstream(method, "server a:1; server b:1;")))
    assert [f.severity for f in found] == ([severity] if severity else [])
    assert all(f"{lint.path}:2" in f.summary for f in found)


def test_dead_members(lint: Lint) -> None:
    found = one(dead_member(lint.upstream("server a:1;", "server b:1 down;")))
    assert (found.subject, found.severity) == ("shop/b:1", Severity.LOW)
    assert f"{lint.path}:3" in found.summary
    found = one(dead_member(lint.upstream("server a:1 down;", "server b:1 down;")))
    assert (found.subject, found.severity) == ("shop", Severity.HIGH)


def test_a_fix_keeps_the_other_words_of_the_line(lint: Lint) -> None:
    lines = ("server a:1;", "server b:1 weight=3 down max_fails=0 backup;")
    fix = one(dead_member(lint.upstream(*lines))).fixes[0]
    assert fix.commands == (f"# {lint.path}:3", "server b:1 weight=3 max_fails=0 backup;")
    assert fix.undo == "server b:1 weight=3 down max_fails=0 backup;"
    conf = lint.upstream("server a:1;", "server b:1 weight=2 max_fails=0 fail_timeout=1s;")
    fix = one(never_ejected(conf)).fixes[0]
    assert fix.commands[1] == "server b:1 weight=2 max_fails=3 fail_timeout=10s;"


@pytest.mark.parametrize(("weight", "fires"), [(7, False), (8, True)])
def test_a_weight_that_is_nearly_nothing(lint: Lint, weight: int, fires: bool) -> None:
    """1 of 8 is a quarter of the even share, 1 of 9 is less."""
    conf = lint.upstream("server a:1;", f"server b:1 weight={weight};")
    assert [f.subject for f in dead_member(conf)] == (["shop/a:1"] if fires else [])


def test_a_single_member(lint: Lint) -> None:
    found = one(single_member(lint.upstream("server a:1;")))
    assert (found.subject, found.severity) == ("shop", Severity.LOW)
    assert "    server a:1;" in found.fixes[0].commands
    assert list(single_member(lint.upstream("server a:1; server b:1;"))) == []
    assert list(single_member(lint.upstream("server a:1;", passed="return 200;"))) == []
    php = lint.conf("http { server { location ~ php { fastcgi_pass 127.0.0.1:9000; } } }")
    assert list(single_member(php)) == []
    found = one(single_member(lint.conf(SITE.format())))
    assert found.subject == "10.0.0.1:80"
    assert "upstream app {" in found.fixes[0].commands


@pytest.mark.parametrize(
    ("lines", "fires"),
    [
        ("server a:1; server b:1 down;", True),
        ("server a:1 max_fails=0; server b:1 down;", False),
        ("server a:1; server b:1 down; server c:1 backup;", False),
        ("server a:1;", False),
        ("server a:1; server b:1; server c:1 down;", False),
    ],
)
def test_the_last_member_can_be_ejected(lint: Lint, lines: str, fires: bool) -> None:
    found = list(last_member_ejected(lint.upstream(lines)))
    assert [f.subject for f in found] == (["shop/a:1"] if fires else [])


def test_a_member_that_is_never_ejected(lint: Lint) -> None:
    found = one(never_ejected(lint.upstream("server a:1;", "server b:1 max_fails=0;")))
    assert found.subject == "shop/b:1"
    assert list(never_ejected(lint.upstream("server a:1 max_fails=0;"))) == []


@pytest.mark.parametrize(
    ("processes", "lines", "fires"),
    [
        ("auto", "server a:1; server b:1;", True),
        ("auto", "server a:1;", False),
        ("auto", "least_conn; server a:1; server b:1;", True),
        ("1", "least_conn; server a:1; server b:1;", False),
        ("4", "zone shop 64k; least_conn; server a:1; server b:1;", False),
    ],
)
def test_advice_is_only_advice(lint: Lint, processes: str, lines: str, fires: bool) -> None:
    text = f"worker_processes {processes};\nhttp {{ upstream shop {{ {lines} }} }}"
    found = list(balancing_advice(lint.conf(text)))
    assert [f.severity for f in found] == ([Severity.INFO] if fires else [])


def test_a_missing_include_is_a_blind_spot(lint: Lint) -> None:
    found = one(include_unread(lint.conf("events {}\ninclude gone.conf;")))
    assert found.kind is Kind.BLIND_SPOT
    assert found.subject == f"{lint.path.parent}/gone.conf"


KEPT = "proxy_http_version 1.1; proxy_set_header Connection ''; proxy_pass http://shop;"


@pytest.mark.parametrize(
    ("lines", "passed", "old", "new"),
    [
        ("keepalive 8;", KEPT, "", ""),
        ("", KEPT, "no keepalive", ""),
        ("", "proxy_pass http://shop;", "no keepalive", ""),
        ("keepalive 0;", KEPT, "no keepalive", "no keepalive"),
        ("keepalive 8;", "proxy_pass http://shop;", "HTTP/1.0", ""),
        ("keepalive 8;", "proxy_http_version 1.1; proxy_pass http://shop;", "says close", ""),
        ("keepalive 8;", "proxy_http_version 1.0; proxy_pass http://shop;", "HTTP/1.0",
         "HTTP/1.0"),
        ("keepalive 8;", KEPT.replace("''", "close"), "says close", "says close"),
        ("keepalive 8;", KEPT.replace("''", "$unknown"), "", ""),
        ("keepalive 8;", KEPT.replace("''", "upgrade"), "", ""),
        ("", "grpc_pass grpc://shop;", "no keepalive", ""),
        ("keepalive 8;", "grpc_pass grpc://shop;", "", ""),
        ("", "fastcgi_pass shop;", "", ""),
        ("keepalive 8;", "fastcgi_pass shop;", "fastcgi_keep_conn", "fastcgi_keep_conn"),
        ("keepalive 8;", "fastcgi_keep_conn on; fastcgi_pass shop;", "", ""),
        ("keepalive 8;", "uwsgi_pass shop;", "", ""),
        ("", "proxy_pass http://10.0.0.1:80;", "an address keeps none", "an address keeps none"),
    ],
)  # fmt: skip
def test_keepalive_by_version(lint: Lint, lines: str, passed: str, old: str, new: str) -> None:
    conf = lint.upstream(lines, "server a:1; server b:1;", passed=passed)
    for server, says in ((OLD, old), (NEW, new)):
        found = list(upstream_keepalive(conf, server))
        assert bool(found) is bool(says)
        assert all(says in f.summary and f.confidence is Confidence.HIGH for f in found)


def test_without_a_version_the_finding_says_so(lint: Lint) -> None:
    conf = lint.upstream("server a:1; server b:1;")
    for server in (None, NginxServer("nginx", "")):
        found = one(upstream_keepalive(conf, server))
        assert found.confidence is Confidence.LOW
        assert "not so if nginx is 1.29.7 or newer: its version is unknown" in found.summary
    sure = one(upstream_keepalive(lint.conf(SITE.format()), None))
    assert sure.confidence is Confidence.HIGH


def test_a_map_that_closes_ordinary_requests(lint: Lint) -> None:
    """The usual lines for WebSockets: without Upgrade they send "close"."""
    conf = lint.conf(
        "http { map $http_upgrade $connection_upgrade { default upgrade; '' close; }\n"
        "upstream shop { server a:1; keepalive 8; }\n"
        "server { location / { proxy_http_version 1.1; proxy_pass http://shop;\n"
        "proxy_set_header Connection $connection_upgrade; } } }"
    )
    found = one(upstream_keepalive(conf, NEW))
    assert found.severity is Severity.MEDIUM
    assert "the Connection header says close" in found.summary


def test_many_alike_are_bounded(lint: Lint) -> None:
    blocks = "".join(f"upstream u{i} {{ ip_hash; server a:1; server b:1; }}\n" for i in range(50))
    passes = "".join(f"location /{i} {{ proxy_pass http://u{i}; }}\n" for i in range(50))
    missing = "".join(f"include gone{i}.conf;\n" for i in range(50))
    conf = lint.conf(f"http {{ {blocks} server {{ {passes} }} {missing} }}")
    for rule in (hash_balancing, connect_timeout, retries_unlimited, include_unread):
        found = list(rule(conf))
        assert len(found) == MOST
        assert found[-1].evidence[-1].value == 50 - MOST


def test_a_scan_lints(lint: Lint) -> None:
    """Through source, snapshot and engine: the same findings, each with its file and line."""
    lint.upstream("ip_hash;", "server a:1;", "server b:1 down;")
    seen = scan(0, nginx_conf=str(lint.path))
    assert not seen.reasons()
    assert seen.stored() == seen.snapshot
    (found,) = seen.by("nginx.last-member-ejected")
    assert found.evidence[1].source == f"{lint.path}:3"
    assert {f.check for f in seen.examination.findings} == {
        "nginx.worker-limits", "nginx.connect-timeout", "nginx.hash-balancing",
        "nginx.dead-member", "nginx.last-member-ejected", "nginx.upstream-keepalive",
    }  # fmt: skip
