"""nginx's connections: dropped ones, taken slots, and what its page cannot show."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Kind,
    Reach,
    Severity,
    Step,
    Unavailable,
    Use,
    Window,
    check,
    resource,
)
from scaledoctor.sources.host import HostInfo
from scaledoctor.sources.nginx import NginxServer, NginxStatus
from scaledoctor.sources.nginx_conf import NginxConf
from scaledoctor_checks.balancing._nginx import RELOAD

SOURCE = "stub_status"

NOISE = 5
"""Dropped connections below which nothing is said: a worker counts an accepted connection a moment
before a handled one, so that each worker can be one ahead when the page is read."""

LOG_FORMAT = (
    "log_format upstreams '$remote_addr [$time_local] \"$request\" $status $request_time '",
    "    '$upstream_addr $upstream_status $upstream_response_time';",
    "access_log /var/log/nginx/upstreams.log upstreams;",
)


@dataclass(frozen=True, slots=True)
class _Slots:
    """Slots at the busiest moment of the window, and what became of the connections.

    ``proxied`` requests take a second slot for the upstream; idle keep-alive connections count
    for none, because nginx closes them when it needs their slots.
    """

    used: float
    in_progress: float
    idle: float
    limit: float | None
    dropped: int
    accepted: float | None
    seconds: float | None

    @property
    def share(self) -> float:
        """Of the limit; 0 without one."""
        return self.used / self.limit if self.limit else 0.0


def _slots(
    window: Window[NginxStatus], conf: NginxConf | None, reach: Reach, host: HostInfo | None
) -> _Slots:
    proxied = 2 if conf is None or conf.passes else 1
    accepted = window.delta(lambda s: s.accepts)
    rate = window.rate(lambda s: s.requests)
    busy = window.mean(lambda s: s.writing) - 1  # our own request is one of them
    return _Slots(
        used=window.peak(lambda s: s.active - s.waiting + (proxied - 1) * s.writing),
        in_progress=window.peak(lambda s: s.writing) * proxied,
        idle=window.mean(lambda s: s.waiting),
        limit=_limit(conf, reach, host),
        dropped=0 if accepted is None else max(0, window.last.dropped - window.first.dropped),
        accepted=accepted,
        seconds=busy / rate if rate and busy > 0 else None,
    )


def _limit(conf: NginxConf | None, reach: Reach, host: HostInfo | None) -> float | None:
    """Slots of all workers; None when the configuration or the number of cores is not known."""
    if conf is None:
        return None
    workers = conf.workers
    if workers is None and host is not None and reach.local_port is not None:
        workers = host.logical or host.cores
    return float(conf.worker_connections * workers) if workers else None


@resource("nginx.connections", step=Step.SCALE_OUT, on="nginx")
def connections(
    reach: Reach,
    window: Window[NginxStatus] | None,
    conf: NginxConf | None,
    host: HostInfo | None,
    /,
    *,
    warn: float = 0.75,
    critical: float = 0.9,
) -> Use | None:
    """Connection slots taken, of worker_connections times the workers.

    How measured: the most connections of the window, without idle keep-alive ones, plus one per
    request in progress for its upstream. The limit needs --nginx-conf. Errors are accepted
    connections that were closed at once, ours too.
    Thresholds: each worker has its own slots, and the fullest one drops first; peers warn at
    80 % of all, hence ``warn`` and ``critical``.
    """
    if reach.category == "dropped":
        full = f"refused: {reach.message}"
        return Use(1.0, 1.0, "of the slots", warn, critical, errors=1.0, detail=full)
    if window is None:
        return None
    slots = _slots(window, conf, reach, host)
    return Use(
        used=slots.used,
        limit=slots.limit,
        unit="connection slots",
        warn=warn,
        critical=critical,
        errors=float(slots.dropped) if slots.dropped >= NOISE else 0.0,
        detail=""
        if slots.limit
        else f"{slots.used:.0f} slots taken; the limit needs --nginx-conf"
        + (" and the number of nginx's cores" if conf else ""),
    )


@check("nginx.connections-exhausted", step=Step.SCALE_OUT, on="nginx")
def connections_exhausted(
    reach: Reach,
    window: Window[NginxStatus] | None,
    conf: NginxConf | None,
    host: HostInfo | None,
    /,
    *,
    dropped: int = NOISE,
    utilization: float = 0.8,
    full: float = 0.95,
    share: float = 0.01,
) -> Iterator[Finding]:
    """The workers have no connection slots left.

    Why: nginx closes connections that it has accepted, and answers 500 to requests that need a
    slot for their upstream, whatever the application behind has left.
    How measured: accepts less handled over the window, from ``dropped`` on; critical from
    ``share`` of the accepted. With --nginx-conf also from ``utilization`` of the slots, high
    from ``full``: without idle keep-alive connections, which nginx closes itself, and two for
    each proxied request. The 500s are in no number of the page.
    When our own connections are closed at once, nothing could be counted and that is said.
    The time in nginx is requests in progress over requests per second (Little's law).
    Thresholds: peers warn at 80 % of the slots.
    Fix: more slots, and whatever makes the requests stay.
    When to ignore: never; a dropped connection is a refused client.
    References: nginx, ngx_http_stub_status_module, worker_connections.
    """
    if reach.category == "dropped":
        yield _refused(reach, conf)
        return
    if window is None:
        raise Unavailable(reach.message or "the page could not be read", reach.enable)
    slots = _slots(window, conf, reach, host)
    if slots.dropped < dropped and slots.share < utilization:
        return
    lost = slots.dropped / slots.accepted if slots.accepted else 0.0
    refused = slots.dropped >= dropped
    high = refused or slots.share >= full
    severity = Severity.HIGH if high else Severity.MEDIUM
    yield Finding(
        subject="worker_connections",
        summary=_summary(slots, refused),
        severity=Severity.CRITICAL if refused and lost >= share else severity,
        evidence=tuple(_evidence(slots, conf, dropped, utilization)),
        fixes=(_fix(conf, slots.used / _workers(slots, conf)),),
        explains={"nginx.connections": min(1.0, slots.in_progress / max(1.0, slots.used))},
        impact=min(1.0, lost) if refused else max(0.0, (slots.share - 0.5) * 2) * 0.5,
    )


def _refused(reach: Reach, conf: NginxConf | None) -> Finding:
    """All that is known when nginx drops us as well."""
    return Finding(
        subject="worker_connections",
        summary="nginx closes every connection at once, ours too: its workers have no free slots",
        severity=Severity.CRITICAL,
        confidence=Confidence.MEDIUM,
        evidence=(Evidence("our connections", reach.message, source=SOURCE),),
        fixes=(_fix(conf, 0.0),),
        explains={"nginx.connections": 1.0},
        impact=1.0,
    )


def _summary(slots: _Slots, refused: bool) -> str:
    stay = f"; a request stays {slots.seconds * 1000:.0f} ms" if slots.seconds else ""
    limit = f" of {slots.limit:.0f}" if slots.limit else ""
    if refused:
        lost = f" of {slots.accepted:.0f}" if slots.accepted else ""
        return (
            f"nginx dropped {slots.dropped}{lost} connections: "
            f"{slots.used:.0f}{limit} slots were taken{stay}"
        )
    return f"{slots.used:.0f}{limit} connection slots of nginx are taken{stay}"


def _evidence(
    slots: _Slots, conf: NginxConf | None, dropped: int, utilization: float
) -> Iterator[Evidence]:
    yield Evidence("dropped in the window", float(slots.dropped), "connections", dropped, SOURCE)
    yield Evidence("slots taken at the peak", slots.used, "slots", None, SOURCE)
    yield Evidence("idle keep-alive connections, mean", slots.idle, "connections", None, SOURCE)
    if slots.seconds is not None:
        yield Evidence("time of a request in nginx, mean", slots.seconds, "s", None, SOURCE)
    if slots.limit is not None and conf is not None:
        where = str(conf.connections.place) if conf.connections else "default"
        yield Evidence("slots", slots.limit, "slots", utilization, where)


def _workers(slots: _Slots, conf: NginxConf | None) -> float:
    """How many workers share the slots, as far as that is known."""
    return slots.limit / conf.worker_connections if slots.limit and conf else 1.0


def _fix(conf: NginxConf | None, peak: float) -> Fix:
    """``peak`` are the slots that one worker needed."""
    now = conf.worker_connections if conf else 0
    needed = 1 << (2 * max(512, now, ceil(peak)) - 1).bit_length()  # a power of two, as all do
    place = conf.connections.place if conf and conf.connections else "nginx.conf"
    return Fix(
        f"Give each worker {needed} slots, and as many files as that takes",
        (
            f"# {place}",
            f"worker_rlimit_nofile {2 * needed};",
            f"events {{ worker_connections {needed}; }}",
        ),
        language="text",
        risk="the application behind gets that many more requests at once; about 0.5 kB a slot",
        verify=f"{RELOAD}; accepts and handled on the stub_status page stay equal",
        undo=f"worker_connections {now or 'as before'};",
    )


@check("nginx.dropped-before", step=Step.SCALE_OUT)
def dropped_before(
    status: NginxStatus, window: Window[NginxStatus], /, *, least: int = 20, share: float = 0.001
) -> Iterator[Finding]:
    """The workers ran out of connection slots at some time since nginx was started.

    Why: it will happen again at the next peak of that size.
    How measured: accepts less handled, at least ``least`` and ``share`` of the accepted, none of
    them in this window. Thresholds: ours; a worker can be one ahead when the page is read.
    Fix: more slots.
    When to ignore: when the limit was raised with a reload since; the counters go on.
    References: nginx, ngx_http_stub_status_module; "worker_connections are not enough" in the
    error log has the times.
    """
    now = max(0, window.last.dropped - window.first.dropped)
    if now >= NOISE or status.dropped < max(least, share * status.accepts):
        return
    yield Finding(
        subject="worker_connections",
        summary=f"nginx dropped {status.dropped:,} of {status.accepts:,} connections since its "
        "start, none of them now",
        severity=Severity.LOW,
        evidence=(
            Evidence("dropped since the start", float(status.dropped), "connections", least,
                     SOURCE),
        ),
        fixes=(
            Fix(
                "See when it happened, then raise worker_connections",
                ("grep 'worker_connections are not enough' /var/log/nginx/error.log | tail",),
                language="shell",
                risk="none",
                verify="the same numbers at the next peak",
                undo="none needed",
            ),
        ),
        kind=Kind.RISK,
    )  # fmt: skip


@check("nginx.upstreams-unseen", step=Step.IDENTIFY)
def upstreams_unseen(server: NginxServer, conf: NginxConf | None, /) -> Iterator[Finding]:
    """The status page of nginx shows nothing of its upstreams.

    Why: a dead or slow member is hidden by retries; only the access log has its address, its
    status and its time, and only when log_format names them.
    How measured: stub_status has seven numbers for the whole server. With --nginx-conf: quiet
    when nothing is proxied, and the log's path is known.
    Fix: log the upstream fields and give the log to --access-log.
    When to ignore: when another tool reads them.
    References: nginx, ngx_http_upstream_module, "Embedded Variables".
    """
    if conf is not None and not conf.passes:
        return
    log = next((log for log in conf.logs if log.upstream), None) if conf else None
    found = f"{log.path} ({log.place}) has them" if log else "the access log can have them"
    commands = (f"scaledoctor scan --access-log {log.path}",) if log else LOG_FORMAT
    yield Finding(
        subject="upstreams",
        summary=f"stub_status counts connections, not upstreams; {found}",
        severity=Severity.INFO,
        evidence=(Evidence("server", server.banner or "unknown", source="Server header"),),
        fixes=(
            Fix(
                "Read the upstream fields of the access log"
                if log
                else "Log each request's upstream, and give the log to --access-log",
                commands,
                language="shell" if log else "text",
                risk="none" if log else "about 40 more bytes a line",
                verify=RELOAD if not log else "the report names the members",
                undo="none needed" if log else "remove the two directives",
            ),
        ),
        kind=Kind.BLIND_SPOT,
    )
