"""nginx's configuration: worker limits, time limits on upstreams, files that were not seen."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, check
from scaledoctor.sources.nginx_conf import NginxConf, Pass, Setting, Upstream
from scaledoctor_checks.balancing._bounded import bounded
from scaledoctor_checks.balancing._nginx import RELOAD, places

DEFAULT_NOFILE = 1024
"""The soft limit on open files that a process has unless somebody raised it (systemd, Linux)."""


@check("nginx.worker-limits", step=Step.SCALE_OUT)
def worker_limits(
    conf: NginxConf, /, *, connections: int = 1024, nofile: int = DEFAULT_NOFILE
) -> Iterator[Finding]:
    """The workers of a proxy have few connection slots, or fewer open files than slots.

    Why: a proxied request takes two slots and two files; beyond them nginx drops connections
    ("worker_connections are not enough") or cannot accept any ("Too many open files").
    How measured: worker_connections below ``connections`` (512 when absent) where anything is
    proxied; worker_rlimit_nofile below worker_connections, or absent with more slots than
    ``nofile``, the usual limit of a process.
    Fix: 4096 slots and twice as many files are cheap: about 0.5 kB a slot.
    When to ignore: a balancer that never sees a few hundred clients; when the service manager
    sets LimitNOFILE.
    References: nginx, core module: worker_connections, worker_rlimit_nofile.
    """
    slots = conf.worker_connections
    files = int(conf.nofile.value) if conf.nofile and conf.nofile.value.isdecimal() else None
    if files is not None and files < slots:
        yield _limit(
            "worker_rlimit_nofile",
            conf.nofile,
            f"worker_rlimit_nofile {files} is less than worker_connections {slots}",
            Evidence("worker_rlimit_nofile", float(files), "files", slots),
            slots,
            Severity.MEDIUM,
        )
    elif conf.passes and slots < connections:
        yield _limit(
            "worker_connections",
            conf.connections,
            f"a worker has {slots} slots; a proxied request takes two",
            Evidence("worker_connections", float(slots), "slots", connections),
            slots,
            Severity.LOW,
        )
    elif conf.passes and files is None and slots > nofile:
        yield _limit(
            "worker_rlimit_nofile",
            conf.connections,
            f"{slots} slots a worker, and no worker_rlimit_nofile: the limit of the process holds, "
            f"often {nofile} files",
            Evidence("worker_connections", float(slots), "slots", nofile),
            slots,
            Severity.LOW,
        )


def _limit(
    subject: str,
    setting: Setting | None,
    summary: str,
    evidence: Evidence,
    slots: int,
    severity: Severity,
) -> Finding:
    where = str(setting.place) if setting else "default"
    wanted = max(4096, slots)
    return Finding(
        subject=subject,
        summary=f"{summary} ({where})",
        severity=severity,
        evidence=(
            Evidence(evidence.fact, evidence.value, evidence.unit, evidence.threshold, where),
        ),
        fixes=(
            Fix(
                f"{wanted} slots for each worker, and two files for each slot",
                (
                    f"# {where}",
                    f"worker_rlimit_nofile {2 * wanted};",
                    f"events {{ worker_connections {wanted}; }}",
                ),
                language="text",
                risk="the application behind can get that many more requests at once",
                verify=f"{RELOAD}; grep 'open files' /proc/$(pgrep -f 'nginx: worker' | head -1)"
                "/limits",
                undo="the old values",
            ),
        ),
        kind=Kind.RISK,
    )


@check("nginx.connect-timeout", step=Step.SCALE_OUT)
def connect_timeout(conf: NginxConf, /, *, seconds: float = 10.0) -> Iterator[Finding]:
    """Nginx waits long for a member that does not even accept.

    Why: a host that has gone answers nothing; each request that is sent to it holds a client and
    two slots until the time is over. A connection within a data centre takes milliseconds.
    How measured: the connect timeout that holds at each proxy_pass (60 s when absent), above
    ``seconds``. Threshold: HAProxy's manual advises slightly above multiples of 3 s, the
    kernel's retransmission; three tries of those.
    Fix: proxy_connect_timeout 3s, beside a read timeout that fits the slowest good request.
    When to ignore: members across a slow network.
    References: nginx, ngx_http_proxy_module, proxy_connect_timeout.
    """
    slow: dict[str, list[Pass]] = {}
    for one in conf.passes:
        if one.target and not one.target.startswith("unix:") and one.connect_timeout > seconds:
            slow.setdefault(one.target, []).append(one)
    yield from bounded(_patient(target, passes, seconds) for target, passes in slow.items())


def _patient(target: str, slow: list[Pass], seconds: float) -> Finding:
    worst, where = max(p.connect_timeout for p in slow), places(p.place for p in slow)
    return Finding(
        subject=target,
        summary=f"requests to {target} wait up to {worst:g} s for a member that does not "
        f"accept ({where})",
        severity=Severity.LOW,
        evidence=(Evidence("connect timeout", worst, "s", seconds, where),),
        fixes=(_timeout(slow[0]),),
        kind=Kind.RISK,
    )


def _timeout(passed: Pass) -> Fix:
    prefix = _prefix(passed)
    return Fix(
        "Give up on a silent member after three seconds",
        (f"# {passed.place}, or once in the http block", f"{prefix}_connect_timeout 3s;"),
        language="text",
        risk="a member that is slow to accept is passed over",
        verify=RELOAD,
        undo=f"{prefix}_connect_timeout {passed.connect_timeout:g}s;",
    )


def _prefix(passed: Pass) -> str:
    return "proxy" if passed.protocol in ("http", "stream") else passed.protocol


@check("nginx.retries-unlimited", step=Step.SCALE_OUT)
def retries_unlimited(conf: NginxConf, /, *, seconds: float = 30.0) -> Iterator[Finding]:
    """A request is tried on one member after the other without a limit.

    Why: when all are slow, each request goes to every one of them and waits its time-outs there:
    the load is multiplied when there is least room for it, and the client has left long before.
    How measured: an upstream of two or more usable members, where proxy_next_upstream is on and
    neither proxy_next_upstream_tries nor _timeout is set, and members times (connect + read
    timeout) is above ``seconds``, after which few clients still wait.
    Fix: two tries, and a limit for all of them together.
    When to ignore: idempotent requests of patient clients.
    References: nginx, ngx_http_proxy_module, proxy_next_upstream_tries.
    """
    free: dict[str, list[Pass]] = {}
    for one in conf.passes:
        if one.retries and not one.tries and not one.tries_seconds:
            free.setdefault(one.target, []).append(one)
    yield from bounded(
        _endless(upstream, free[upstream.name], seconds)
        for upstream in conf.upstreams
        if len(upstream.usable) >= 2 and _all_tries(upstream, free.get(upstream.name, [])) > seconds
    )


def _all_tries(upstream: Upstream, free: list[Pass]) -> float:
    """Seconds that a request may take when every member keeps it waiting."""
    each = max((p.connect_timeout + p.read_timeout for p in free), default=0.0)
    return len(upstream.usable) * each


def _endless(upstream: Upstream, free: list[Pass], seconds: float) -> Finding:
    count, worst = len(upstream.usable), _all_tries(upstream, free)
    prefix, where = _prefix(free[0]), places(p.place for p in free)
    return Finding(
        subject=upstream.name,
        summary=f"a request to {upstream.name} may try all {count} members and take {worst:g} s "
        f"({where})",
        severity=Severity.LOW,
        evidence=(
            Evidence("members tried, at most", float(count), "members", 2.0, str(upstream.place)),
            Evidence("time of all tries, at most", worst, "s", seconds, where),
        ),
        fixes=(
            Fix(
                "Two tries, ten seconds together",
                (
                    f"# {free[0].place}, or once in the http block",
                    f"{prefix}_next_upstream_tries 2;",
                    f"{prefix}_next_upstream_timeout 10s;",
                ),
                language="text",
                risk="a request fails when two members fail one after the other",
                verify=RELOAD,
                undo="remove the two directives",
            ),
        ),
        kind=Kind.RISK,
    )


@check("nginx.include-unread", step=Step.IDENTIFY)
def include_unread(conf: NginxConf, /) -> Iterator[Finding]:
    """A file that the configuration includes could not be read.

    Why: what stands in it is missing from every finding here.
    How measured: each include, its globs followed; one that matches nothing is fine with nginx,
    a name without a glob is not.
    Fix: scan where the files are, as somebody who may read them.
    When to ignore: a file of types or of another concern, left out on purpose.
    References: nginx, core module, include.
    """
    yield from bounded(map(_unread, conf.missing))


def _unread(line: str) -> Finding:
    place, _, rest = line.partition(" includes ")
    return Finding(
        subject=rest.partition(": ")[0],
        summary=f"{line}: what it says is not seen",
        severity=Severity.INFO,
        evidence=(Evidence("include", rest, source=place),),
        fixes=(
            Fix(
                "Collect where the files are, as somebody who may read them",
                (
                    "scaledoctor collect --nginx-conf /etc/nginx/nginx.conf -o nginx.json",
                    "scaledoctor scan --from nginx.json",
                ),
                language="shell",
                risk="none",
                verify="the finding is gone",
                undo="rm nginx.json",
            ),
        ),
        kind=Kind.BLIND_SPOT,
    )
