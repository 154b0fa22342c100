"""haproxy.cfg: each rule on a line that breaks it, and silence on a good file."""

import pytest

from scaledoctor.sdk import Finding, Kind, Severity
from scaledoctor.sources.haproxy_cfg import HaproxyCfg, parse
from scaledoctor_checks.balancing._haproxy_cfg import cfg_servers
from scaledoctor_checks.balancing.haproxy_cfg import (
    cfg_keepalive,
    cfg_maxconn,
    cfg_open_stats,
    cfg_retries,
    cfg_timeouts,
)
from scaledoctor_checks.balancing.haproxy_cfg_servers import (
    cfg_dead_weight,
    cfg_hash_balancing,
    cfg_unchecked,
)
from tests.checks.pg_facts import only

GOOD = """\
global
    maxconn 20000
    stats socket /run/haproxy/admin.sock mode 660 level admin
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 60s
    timeout queue 10s
    retries 3
    option redispatch
frontend web
    bind :80
    default_backend app
backend app
    balance leastconn
    option httpchk GET /health
    default-server check maxconn 50
    server s1 10.0.0.1:80
    server s2 10.0.0.2:80
listen stats
    bind 127.0.0.1:8404
    stats enable
    stats uri /stats
"""

CHECKS = (
    cfg_timeouts, cfg_maxconn, cfg_retries, cfg_keepalive, cfg_open_stats, cfg_unchecked,
    cfg_hash_balancing, cfg_dead_weight,
)  # fmt: skip


def cfg(text: str) -> HaproxyCfg:
    return parse(text, "haproxy.cfg")


def changed(old: str, new: str) -> HaproxyCfg:
    assert old in GOOD
    return cfg(GOOD.replace(old, new))


def found(facts: HaproxyCfg) -> list[Finding]:
    return [finding for check in CHECKS for finding in check(facts)]


def test_a_good_file_is_quiet() -> None:
    for check in CHECKS:
        assert list(check(cfg(GOOD))) == []


@pytest.mark.parametrize(
    ("old", "new", "subject", "line", "severity"),
    [
        ("    timeout connect 5s\n", "", "timeout connect", 14, Severity.MEDIUM),
        ("    timeout client 30s\n", "", "timeout client", 11, Severity.MEDIUM),
        ("    timeout server 60s\n", "", "timeout server", 14, Severity.MEDIUM),
        ("    timeout queue 10s\n", "", "timeout queue", 14, Severity.LOW),
        ("retries 3", "retries 0", "retries", 10, Severity.MEDIUM),
        ("    option redispatch\n", "", "option redispatch", 14, Severity.LOW),
        ("option httpchk", "no option redispatch\n    option httpchk", "option redispatch", 15,
         Severity.LOW),
        ("    maxconn 20000\n", "", "global", 1, Severity.LOW),
        ("check maxconn 50", "check", "server maxconn", 19, Severity.LOW),
        ("check maxconn 50", "maxconn 50", "backend app", 19, Severity.MEDIUM),
        ("10.0.0.2:80", "10.0.0.2:80 no-check", "backend app", 20, Severity.MEDIUM),
        ("leastconn", "source", "backend app", 16, Severity.LOW),
        ("leastconn", "hdr(x-user)", "backend app", 16, Severity.LOW),
        ("10.0.0.2:80", "10.0.0.2:80 weight 0", "app/s2", 20, Severity.LOW),
        ("s1 10.0.0.1:80", "s1 10.0.0.1:80 weight 10", "app/s2", 20, Severity.LOW),
        ("balance", "option httpclose\n    balance", "backend app", 16, Severity.LOW),
        ("redispatch", "redispatch\n    option http-server-close", "backend app", 12,
         Severity.LOW),
        ("127.0.0.1:8404", ":8404", "listen stats", 23, Severity.MEDIUM),
        ("127.0.0.1:8404\n    stats enable", ":8404\n    stats admin if TRUE", "listen stats", 23,
         Severity.HIGH),
        ("/run/haproxy/admin.sock mode 660", "ipv4@*:9999", "stats socket", 3, Severity.HIGH),
    ],
)  # fmt: skip
def test_each_rule_names_its_line(
    old: str, new: str, subject: str, line: int, severity: Severity
) -> None:
    finding = only(found(changed(old, new)))
    assert (finding.subject, finding.severity, finding.kind) == (subject, severity, Kind.RISK)
    assert finding.evidence[0].source.partition(",")[0] == f"haproxy.cfg:{line}"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("s1 10.0.0.1:80", "s1 10.0.0.1:80 weight 9"),
        ("10.0.0.2:80", "10.0.0.2:80 weight 0 backup"),
        ("10.0.0.2:80", "10.0.0.2:80 disabled weight 0"),
        ("balance leastconn", "balance roundrobin"),
        ("balance leastconn", "no option httpclose\n    balance leastconn"),
        ("127.0.0.1:8404", ":8404\n    stats auth me:secret"),
        ("127.0.0.1:8404", ":8404\n    http-request auth unless { src 10.0.0.0/8 }"),
        ("/run/haproxy/admin.sock mode 660 level admin", "ipv4@127.0.0.1:9999 level admin"),
        ("/run/haproxy/admin.sock mode 660 level admin", "ipv4@*:9999 level user"),
        ("10.0.0.2:80", "10.0.0.2:80 no-check check"),
        ("default-server check", "default-server track other/s1"),
    ],
)
def test_near_misses_are_quiet(old: str, new: str) -> None:
    assert found(changed(old, new)) == []


def test_a_single_server_needs_no_redispatch_and_no_check() -> None:
    text = GOOD.replace("    server s2 10.0.0.2:80\n", "").replace("option redispatch", "")
    assert found(cfg(text.replace("check maxconn", "maxconn"))) == []


def test_many_sections_make_one_finding() -> None:
    """What belongs into defaults is told once, with the first places."""
    backends = "".join(f"backend b{i}\n  server s1 10.0.0.1:80 check\n" for i in range(500))
    finding = only(list(cfg_timeouts(cfg("defaults\n  mode http\n" + backends)))[:1])
    assert "backend b0, backend b1, backend b2 and 497 more have no" in finding.summary
    assert finding.evidence[0].source == (
        "haproxy.cfg:3, haproxy.cfg:5, haproxy.cfg:7 and 497 more"
    )


def test_a_template_makes_many_servers() -> None:
    facts = cfg("backend app\n  server-template web 1-5 _http._tcp.app:80 check weight 3\n")
    (server,) = cfg_servers(facts, facts.proxies[0])
    assert (server.name, server.count, server.weight, server.checked) == ("web", 5, 3, True)
