"""Whether nginx keeps its connections to the upstreams, which depends on its version."""

from collections.abc import Iterator

from scaledoctor.sdk import Confidence, Evidence, Finding, Fix, Kind, Severity, Step, check
from scaledoctor.sources.nginx import NginxServer
from scaledoctor.sources.nginx_conf import NginxConf, Pass, Upstream
from scaledoctor_checks.balancing._bounded import bounded
from scaledoctor_checks.balancing._nginx import RELOAD, places

DEFAULT_SINCE = (1, 29, 7)
"""From here on an upstream block keeps 32 idle connections a worker, and requests are HTTP/1.1
without a Connection header (CHANGES of nginx 1.29.7). Seen with 1.31.3: ten requests over one
connection for an upstream block, over ten for a proxy_pass to an address."""

IDLE = 32


@check("nginx.upstream-keepalive", step=Step.POOL)
def upstream_keepalive(conf: NginxConf, server: NginxServer | None, /) -> Iterator[Finding]:
    """A new connection is opened to the application for every request.

    Why: a handshake more for each request, with TLS several; ports in TIME_WAIT on nginx's host
    run out at about 470 requests a second to one address (28,232 ports, 60 s each).
    How measured: at each proxy_pass, whether a connection can be kept. Before nginx 1.29.7 that
    needs "keepalive" in the upstream, proxy_http_version 1.1, and a Connection header that is
    not "close", its default; from 1.29.7 on an upstream block is enough, unless the
    configuration says otherwise. A proxy_pass to an address never keeps connections. The
    version is that of the Server header (--nginx); unknown, the older rules are taken and the
    finding says so. Medium where keepalive is asked for and cannot work.
    Fix: an upstream block with keepalive, HTTP/1.1 and an empty Connection header.
    When to ignore: a few requests a second; uwsgi and scgi, which have no keepalive.
    References: nginx, ngx_http_upstream_module, keepalive; CHANGES 1.29.7.
    """
    modern = server.at_least(*DEFAULT_SINCE) if server else None
    upstreams = {u.name: u for u in conf.upstreams}
    yield from bounded(
        finding
        for target in dict.fromkeys(p.target for p in conf.passes if p.target)
        for finding in _judge(conf, target, upstreams.get(target), modern)
    )


def _judge(
    conf: NginxConf, target: str, upstream: Upstream | None, modern: bool | None
) -> Iterator[Finding]:
    reasons = {p: _broken(p, upstream, bool(modern)) for p in conf.passes_to(target)}
    broken = [p for p, reason in reasons.items() if reason]
    if not broken:
        return
    asked = upstream is not None and bool(upstream.keepalive)
    # What is the default since 1.29.7 may be in force: only what breaks it there too is sure.
    sure = modern is not None or _broken(broken[0], upstream, True) != ""
    where = places(p.place for p in broken)
    doubt = "" if sure else "; not so if nginx is 1.29.7 or newer: its version is unknown"
    yield Finding(
        subject=target,
        summary=f"every request to {target} opens a connection: {reasons[broken[0]]} "
        f"({where}){doubt}",
        severity=Severity.MEDIUM if asked else Severity.LOW,
        confidence=Confidence.HIGH if sure else Confidence.LOW,
        evidence=(
            Evidence("why", reasons[broken[0]], source=where),
            Evidence("nginx 1.29.7 or newer", {None: "unknown", True: "yes", False: "no"}[modern],
                     source="Server header"),
        ),
        fixes=(_fix(broken[0], upstream, target),),
        kind=Kind.RISK,
    )  # fmt: skip


def _broken(passed: Pass, upstream: Upstream | None, modern: bool) -> str:
    """Why no connection is kept there; empty when one is, or when that is not known."""
    if passed.protocol == "fastcgi":  # worth a word only to those who ask for it
        asked = upstream is not None and upstream.keepalive
        return "fastcgi_keep_conn is off" if asked and not passed.keep_conn else ""
    if passed.protocol not in ("http", "grpc") or passed.target.startswith("unix:"):
        return ""
    if upstream is None:
        return "a pass to an address keeps none"
    if upstream.keepalive == 0 or (upstream.keepalive is None and not modern):
        return f"upstream {upstream.name} has no keepalive"
    if passed.protocol == "grpc" or not passed.connection_known:
        return ""
    version = passed.http_version or ("1.1" if modern else "1.0")
    sent = passed.connection if passed.connection is not None else ("" if modern else "close")
    if version == "1.0" and "keep-alive" not in sent.lower():
        return "requests are HTTP/1.0"
    return "the Connection header says close" if "close" in sent.lower() else ""


def _fix(passed: Pass, upstream: Upstream | None, target: str) -> Fix:
    name = upstream.name if upstream else "app"
    block = (
        (f"# inside upstream {name}, {upstream.place}", f"keepalive {upstream.keepalive or IDLE};")
        if upstream
        else (f"upstream {name} {{ server {target}; keepalive {IDLE}; }}",)
    )
    settings = {
        "fastcgi": ("fastcgi_keep_conn on;",),
        "grpc": (f"grpc_pass grpc://{name};",) if upstream is None else (),
    }.get(passed.protocol, ("proxy_http_version 1.1;", 'proxy_set_header Connection "";'))
    aim = () if upstream or passed.protocol != "http" else (f"proxy_pass http://{name};",)
    return Fix(
        "Keep connections to the application",
        (*block, f"# {passed.place}", *aim, *settings),
        language="text",
        risk="the application holds up to that many idle connections for each worker; its own "
        "keep-alive timeout must be longer than nginx's keepalive_timeout (60 s)",
        verify=f"{RELOAD}; ss -tn state time-wait | wc -l goes down",
        undo="take the lines out",
    )
