"""nginx's upstream blocks: members that get nothing, are alone, or are never taken out."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, check
from scaledoctor.sources.nginx_conf import Member, NginxConf, Upstream
from scaledoctor_checks.balancing._bounded import bounded
from scaledoctor_checks.balancing._nginx import RELOAD, places

_HASHES = ("ip_hash", "hash", "sticky")


def _risk(
    subject: str, summary: str, severity: Severity, evidence: tuple[Evidence, ...], fix: Fix
) -> Finding:
    return Finding(subject, summary, severity, evidence=evidence, fixes=(fix,), kind=Kind.RISK)


def _fix(title: str, *lines: str, risk: str, undo: str = "the old lines") -> Fix:
    return Fix(title, lines, language="text", risk=risk, verify=RELOAD, undo=undo)


@check("nginx.hash-balancing", step=Step.SCALE_OUT)
def hash_balancing(conf: NginxConf, /) -> Iterator[Finding]:
    """An upstream chooses its member by a hash, not by load.

    Why: clients behind one address or one key all go to one member, and a new member takes over
    only some of them. Behind another balancer, ip_hash sees one address.
    How measured: ip_hash, hash or sticky in the upstream block. Low for ip_hash, and for hash
    without "consistent", which moves nearly every key when a member is added; else info.
    Fix: keep sessions in a shared store and balance by least_conn.
    When to ignore: a cache that is meant to be split by key.
    References: nginx, ngx_http_upstream_module: ip_hash, hash.
    """
    yield from bounded(_hashed(u) for u in conf.upstreams if u.method.startswith(_HASHES))


def _hashed(upstream: Upstream) -> Finding:
    moves = upstream.method.startswith("hash") and "consistent" not in upstream.method
    why = (
        "all clients behind one address share a member"
        if upstream.method == "ip_hash"
        else "adding a member moves nearly every key"
        if moves
        else "a busy key stays on one member"
    )
    low = moves or upstream.method == "ip_hash"
    return _risk(
        upstream.name,
        f"{upstream.name} balances by {upstream.method}: {why} ({upstream.method_place})",
        Severity.LOW if low else Severity.INFO,
        (Evidence("method", upstream.method, source=str(upstream.method_place)),),
        _fix(
            "Balance by load, with sessions in a store that all members share",
            f"# {upstream.method_place}, instead of {upstream.method}",
            "least_conn;",
            risk="sessions in a member's memory are lost for clients that change the member",
            undo=f"{upstream.method};",
        ),
    )


@check("nginx.dead-member", step=Step.SCALE_OUT)
def dead_member(conf: NginxConf, /, *, share: float = 0.25) -> Iterator[Finding]:
    """A member of an upstream gets no requests, or hardly any, by its own line.

    Why: capacity that is paid for and does nothing; when all are "down", every request fails.
    How measured: "down" on the server line; or a weight below ``share`` of the even one. High
    when no member is left.
    Fix: take the line out, or give the member its weight.
    When to ignore: a member in maintenance, a canary.
    References: nginx, ngx_http_upstream_module, server.
    """
    yield from bounded(f for u in conf.upstreams for f in _dead(u, share))


def _dead(upstream: Upstream, share: float) -> Iterator[Finding]:
    down = [m for m in upstream.members if m.down]
    if down and len(down) == len(upstream.members):
        count = float(len(down))
        where = places(m.place for m in down)
        yield _risk(
            upstream.name,
            f"every member of {upstream.name} is marked down ({upstream.place})",
            Severity.HIGH,
            (Evidence("members marked down", count, f"of {len(down)}", source=where),),
            _revived(down[0], "Let one member take requests"),
        )
        return
    for member in down:
        yield _risk(
            f"{upstream.name}/{member.address}",
            f"{member.address} of {upstream.name} is marked down ({member.place})",
            Severity.LOW,
            (Evidence("marked down", "yes", source=str(member.place)),),
            _revived(member, "Take the line out, or let the member work"),
        )
    fair = sum(m.weight for m in upstream.usable) / max(1, len(upstream.usable))
    for member in upstream.usable:
        if member.weight < share * fair:
            yield _light(upstream, member, fair, share)


def _revived(member: Member, title: str) -> Fix:
    return _fix(
        title,
        f"# {member.place}",
        member.line(without="down"),
        risk="it takes its share at once, and must be ready for it",
        undo=member.line(),
    )


def _light(upstream: Upstream, member: Member, fair: float, share: float) -> Finding:
    count = len(upstream.usable)
    part, total = member.weight / (fair * count), f"of {fair * count:.0f}"
    weight = Evidence("weight", float(member.weight), total, share * fair, str(member.place))
    return _risk(
        f"{upstream.name}/{member.address}",
        f"{member.address} gets {part:.1%} of {upstream.name}, an even share is {1 / count:.0%} "
        f"({member.place})",
        Severity.LOW,
        (weight,),
        _fix(
            "Give it the weight of its size",
            f"# {member.place}",
            member.line(f"weight={max(1, round(fair))}"),
            risk="it gets that share at once",
            undo=member.line(),
        ),
    )


@check("nginx.single-member", step=Step.SCALE_OUT)
def single_member(conf: NginxConf, /) -> Iterator[Finding]:
    """Requests are passed to one application server only.

    Why: it is the ceiling of the whole, and when it stops nothing answers; nginx has nobody else
    to retry on.
    How measured: an upstream with one server and no backup, or a proxy_pass to an address. A
    host name may stand for several addresses: nginx looks it up once, at the start.
    Fix: a second instance beside it.
    When to ignore: an address that is itself a balancer; FastCGI pools and sockets, which scale
    by their own workers.
    References: nginx, "HTTP Load Balancing".
    """
    alone: dict[str, str] = {
        u.name: u.members[0].address
        for u in conf.upstreams
        if len(u.members) == 1 and conf.passes_to(u.name)
    }
    named = {u.name for u in conf.upstreams}
    alone |= {p.target: p.target for p in conf.passes if p.target and p.target not in named}
    yield from bounded(
        _alone(conf, name, address)
        for name, address in alone.items()
        if not address.startswith("unix:")
        and any(p.protocol in ("http", "grpc", "stream") for p in conf.passes_to(name))
    )


def _alone(conf: NginxConf, name: str, address: str) -> Finding:
    where = places(p.place for p in conf.passes_to(name))
    block = name if name != address else "app"
    return _risk(
        name,
        f"all requests for {name} go to one server, {address} ({where})"
        if name != address
        else f"all requests passed to {address} have one server ({where})",
        Severity.LOW,
        (Evidence("members", 1.0, "member", 2.0, where),),
        _fix(
            "Start a second instance and put both into one upstream",
            f"upstream {block} {{",
            f"    zone {block} 64k;",
            "    least_conn;",
            f"    server {address};",
            "    server SECOND_HOST:PORT;",
            "}",
            f"# and: proxy_pass http://{block}; at {where}",
            risk="sessions in a member's memory and files on its disk are not shared",
            undo="take the second server out",
        ),
    )


@check("nginx.last-member-ejected", step=Step.SCALE_OUT)
def last_member_ejected(conf: NginxConf, /) -> Iterator[Finding]:
    """The only usable member of an upstream is taken out after one failure.

    Why: nginx never takes out a single server, but it counts the ones marked "down": with one
    of those beside it, one failed request makes "no live upstreams", 502 for everybody for
    fail_timeout (10 s), though the member may answer the next request.
    How measured: two or more server lines, exactly one neither down nor backup, no backup, and
    max_fails not 0.
    Fix: take the dead lines out, or set max_fails=0 on the last one.
    When to ignore: never.
    References: nginx, ngx_http_upstream_module, server: "if there is only a single server in a
    group, max_fails ... are ignored"; nginx-proxy issue 1495.
    """
    yield from bounded(
        _ejected(u)
        for u in conf.upstreams
        if len(u.members) > 1
        and len(u.usable) == 1
        and u.usable[0].max_fails
        and not any(m.backup for m in u.members)
    )


def _ejected(upstream: Upstream) -> Finding:
    (last,) = upstream.usable
    return _risk(
        f"{upstream.name}/{last.address}",
        f"{last.max_fails} failed request(s) take out {last.address}, the last usable member of "
        f"{upstream.name}, for {last.fail_timeout:g} s ({last.place})",
        Severity.MEDIUM,
        (
            Evidence("usable members", 1.0, f"of {len(upstream.members)}", 2.0,
                     str(upstream.place)),
            Evidence("max_fails", float(last.max_fails), "failures", source=str(last.place)),
        ),
        _fix(
            "Keep the last one in whatever happens",
            f"# {last.place}",
            last.line("max_fails=0"),
            risk="requests go on to it while it fails; nobody else could take them",
            undo=last.line(),
        ),
    )  # fmt: skip


@check("nginx.never-ejected", step=Step.SCALE_OUT)
def never_ejected(conf: NginxConf, /) -> Iterator[Finding]:
    """A member that fails stays in the rotation, because max_fails is 0.

    Why: nginx has no other health check; each request that it gets fails first and is tried
    elsewhere, or waits for the connect timeout.
    How measured: max_fails=0 on a member of an upstream with two or more usable ones.
    Fix: a few failures in ten seconds take it out for ten seconds.
    When to ignore: when another balancer behind checks health.
    References: nginx, ngx_http_upstream_module, max_fails.
    """
    yield from bounded(
        _risk(
            f"{u.name}/{m.address}",
            f"{m.address} of {u.name} is never taken out: max_fails=0 ({m.place})",
            Severity.LOW,
            (Evidence("max_fails", 0.0, "failures", 1.0, str(m.place)),),
            _fix(
                "Take it out for a while when it fails",
                f"# {m.place}",
                m.line("max_fails=3", "fail_timeout=10s"),
                risk="a burst of errors takes it out for ten seconds",
                undo=m.line(),
            ),
        )
        for u in conf.upstreams
        if len(u.usable) > 1
        for m in u.usable
        if m.max_fails == 0
    )


@check("nginx.balancing-advice", step=Step.SCALE_OUT)
def balancing_advice(conf: NginxConf, /) -> Iterator[Finding]:
    """An upstream could balance by load.

    Why: round robin gives a slow member as many requests as a fast one. least_conn counts per
    worker unless the upstream has a zone.
    How measured: two or more usable members with round robin; or least_conn without a zone and
    more than one worker. Advice only: nothing was measured of the members.
    Fix: least_conn and a zone.
    When to ignore: requests that all take the same time.
    References: nginx, ngx_http_upstream_module: least_conn, zone.
    """
    yield from bounded(
        _risk(
            u.name,
            f"{u.name} gives its {len(u.usable)} members the same number of requests, "
            f"slow or not ({u.place})"
            if u.method == "round robin"
            else f"each worker balances {u.name} by its own connections only: no zone ({u.place})",
            Severity.INFO,
            (Evidence("method", u.method, source=str(u.method_place)),),
            _fix(
                "Balance by connections in progress, counted over all workers",
                f"# {u.place}",
                f"zone {u.name} 64k;",
                "least_conn;",
                risk="a member that fails fast looks idle and gets more",
                undo="take the two lines out",
            ),
        )
        for u in conf.upstreams
        if len(u.usable) > 1
        and (u.method == "round robin" or (u.method == "least_conn" and not u.zone and _many(conf)))
    )


def _many(conf: NginxConf) -> bool:
    return conf.workers is None or conf.workers > 1
