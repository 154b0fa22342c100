"""haproxy.cfg: time-outs, limits, retries, keep-alive, and who may see the statistics."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Severity, Step, check
from scaledoctor.sources.haproxy_cfg import HaproxyCfg, Section
from scaledoctor_checks.balancing._bounded import bounded
from scaledoctor_checks.balancing._haproxy_cfg import (
    balanced,
    cfg_servers,
    labels,
    mode,
    places,
    risk,
)

TIMEOUTS = (
    ("timeout connect", ("backend", "listen"), "5s",
     "a dead server is given up by the kernel only, after two minutes"),
    ("timeout client", ("frontend", "listen"), "30s",
     "a client that went away keeps its session for ever"),
    ("timeout server", ("backend", "listen"), "60s",
     "a server that hangs keeps its requests for ever"),
)  # fmt: skip
"""Name, the sections that need it, a usual value (HAProxy's own examples), what its lack does."""

CLOSING = ("httpclose", "forceclose", "http-server-close")
"""Options that end the server's connection after each request."""


@check("haproxy.cfg-timeouts", step=Step.TIGHTEN)
def cfg_timeouts(cfg: HaproxyCfg, /) -> Iterator[Finding]:
    """A time-out is missing, so that HAProxy waits for ever.

    Why: connections of clients and servers that are gone pile up until maxconn.
    How measured: timeout connect, client and server in each section that needs it, or in the
    defaults that it inherits; timeout queue where servers have a maxconn (it is timeout connect
    otherwise, mostly a matter of seconds).
    Fix: the four lines in defaults.
    When to ignore: never; HAProxy itself warns of the first three.
    References: HAProxy, configuration manual, "timeout connect", "timeout queue".
    """
    for name, kinds, usual, effect in TIMEOUTS:
        without = [
            s
            for s in cfg.proxies
            if s.kind in kinds
            and cfg.setting(s, name) is None
            and (s.kind == "frontend" or cfg_servers(cfg, s))
        ]
        if without:
            yield _timeout(cfg, name, usual, without, effect, Severity.MEDIUM)
    queued = [
        s
        for s in cfg.proxies
        if cfg.setting(s, "timeout queue") is None
        and any(server.value("maxconn") for server in cfg_servers(cfg, s))
    ]
    if queued:
        effect = "requests that wait for a server are refused after timeout connect"
        yield _timeout(cfg, "timeout queue", "10s", queued, effect, Severity.LOW)


def _timeout(
    cfg: HaproxyCfg, name: str, usual: str, without: list[Section], effect: str, grade: Severity
) -> Finding:
    return risk(
        name,
        f"{labels(without)} {'has' if len(without) == 1 else 'have'} no {name}: {effect}",
        grade,
        Evidence(name, "not set", source=places(cfg, [s.line for s in without])),
        f"Set {name}",
        ("# in defaults", f"{name} {usual}"),
        "requests that take longer are cut off",
    )


@check("haproxy.cfg-maxconn", step=Step.SCALE_OUT)
def cfg_maxconn(cfg: HaproxyCfg, /) -> Iterator[Finding]:
    """Servers have no maxconn, so that nothing holds requests back from them.

    Why: in a rush every server gets all requests at once and gets slower with each; with a limit
    the rest waits in HAProxy, where waiting costs nothing.
    How measured: sections of mode http with servers of which one has no maxconn of its own or
    from default-server; a global section without maxconn.
    Fix: a little more than the workers of one server.
    When to ignore: when the servers are asynchronous and measured with far more.
    References: HAProxy, configuration manual, "maxconn" (server and global).
    """
    open_ones = {
        section.label: (section, lines)
        for section in cfg.proxies
        if mode(cfg, section) == "http"
        and (lines := [s.line for s in cfg_servers(cfg, section) if not s.value("maxconn")])
    }
    if open_ones:
        sections = [section for section, _ in open_ones.values()]
        yield risk(
            "server maxconn",
            f"servers of {labels(sections)} have no maxconn: a rush hits them unbraked",
            Severity.LOW,
            Evidence("maxconn", "not set",
                     source=places(cfg, [n for _, lines in open_ones.values() for n in lines])),
            "Let a server have as many requests as it has workers, and a few more",
            ("# in defaults or in the backend", "default-server maxconn 50", "timeout queue 10s"),
            "requests queue in HAProxy when the servers are full",
        )  # fmt: skip
    world = next((s for s in cfg.sections if s.kind == "global"), None)
    if world is not None and not world.own("maxconn"):
        yield risk(
            "global",
            "global has no maxconn: HAProxy takes what the limit on open files allows",
            Severity.LOW,
            Evidence("maxconn", "not set", source=cfg.place(world.line)),
            "Set the connections that the machine can hold",
            ("# in global", "maxconn 20000"),
            "clients beyond it wait in the kernel",
        )


@check("haproxy.cfg-retries", step=Step.SCALE_OUT)
def cfg_retries(cfg: HaproxyCfg, /) -> Iterator[Finding]:
    """A request whose server does not answer is not given to another one.

    Why: between a server's death and its third failed check every request to it would be lost.
    How measured: sections with two servers or more where retries is 0, or without option
    redispatch.
    Fix: three retries, the last one elsewhere.
    When to ignore: mode tcp with sessions that must not move.
    References: HAProxy, configuration manual, "retries", "option redispatch".
    """
    found = [section for section, _ in balanced(cfg)]
    none = [s for s in found if (line := cfg.setting(s, "retries")) and line.words[1:2] == ("0",)]
    same = [s for s in found if s not in none and cfg.on(s, "redispatch") is None]
    if none:
        yield _retries(cfg, "retries", none, "retries is 0 in", Severity.MEDIUM)
    if same:
        yield _retries(cfg, "option redispatch", same, "each retry goes to the same server in",
                       Severity.LOW)  # fmt: skip


def _retries(
    cfg: HaproxyCfg, name: str, found: list[Section], what: str, grade: Severity
) -> Finding:
    zero = name == "retries"
    lines = [line.line if zero and (line := cfg.setting(s, name)) else s.line for s in found]
    return risk(
        name,
        f"{what} {labels(found)}",
        grade,
        Evidence(name, "0" if zero else "not set", source=places(cfg, lines)),
        "Try three times, the last time elsewhere",
        ("# in defaults", "retries 3", "option redispatch"),
        "none: only connections that failed are tried again",
    )


@check("haproxy.cfg-keepalive", step=Step.POOL)
def cfg_keepalive(cfg: HaproxyCfg, /) -> Iterator[Finding]:
    """Connections to the servers are closed after each request.

    Why: each request pays for a handshake, and closed connections hold their port for a minute:
    28,000 of them to one address and no more can be opened.
    How measured: option httpclose, forceclose or http-server-close in a section with servers, or
    in the defaults that it inherits.
    Fix: keep-alive, which is HAProxy's default since 1.5.
    When to ignore: when the server cannot keep connections, or must not.
    References: HAProxy, configuration manual, "option http-keep-alive", "http-reuse".
    """
    found: dict[int, list[Section]] = {}
    for section in cfg.proxies:
        if mode(cfg, section) == "http" and cfg_servers(cfg, section):
            line = next((on for name in CLOSING if (on := cfg.on(section, name))), None)
            if line is not None:
                found.setdefault(line.line, []).append(section)
    yield from bounded(
        risk(
            labels(sections),
            f"connections to the servers of {labels(sections)} are closed after each request",
            Severity.LOW,
            Evidence("keep-alive", "off", source=cfg.place(line)),
            "Keep the connections to the servers",
            ("# instead of that option", "option http-keep-alive", "http-reuse safe"),
            "servers hold idle connections: look at their limits",
        )
        for line, sections in found.items()
    )


@check("haproxy.cfg-open-stats", step=Step.IDENTIFY)
def cfg_open_stats(cfg: HaproxyCfg, /) -> Iterator[Finding]:
    """The statistics, or the control of HAProxy, are open to whoever can connect.

    Why: the page shows names, addresses and traffic of all servers; with stats admin, or on a
    TCP socket of level admin, anybody can take servers out.
    How measured: stats enable, uri or admin without stats auth or http-request auth, where the
    section does not bind to loopback only; stats socket with level admin on a TCP address other
    than loopback.
    Fix: a password, or an address that only you reach.
    When to ignore: when a firewall keeps others out.
    References: HAProxy, configuration manual, "stats auth", "stats socket".
    """
    yield from bounded([*_open_pages(cfg), *_open_sockets(cfg)])


def _open_pages(cfg: HaproxyCfg) -> Iterator[Finding]:
    for section in cfg.proxies:
        shown = next(
            (on for w in ("admin", "enable", "uri") if (on := section.own(f"stats {w}"))), []
        )
        guarded = any(cfg.setting(section, f"{w} auth") for w in ("stats", "http-request"))
        binds = [d.words[1] for d in section.own("bind") if len(d.words) > 1]
        if not shown or guarded or (binds and all(map(_private, binds))):
            continue
        admin = shown[0].words[1:2] == ("admin",)
        yield risk(
            section.label,
            f"{section.label} shows the statistics without a password"
            + (", and lets anybody take servers out" if admin else ""),
            Severity.HIGH if admin else Severity.MEDIUM,
            Evidence("stats auth", "not set", source=cfg.place(shown[0].line)),
            "Ask for a password, over TLS or on loopback",
            (f"# in {section.label}", "stats auth USER:PASSWORD"),
            "whoever reads the page needs the password, scaledoctor too",
        )


def _open_sockets(cfg: HaproxyCfg) -> Iterator[Finding]:
    for section in cfg.sections:
        for line in section.own("stats socket") if section.kind == "global" else ():
            address = line.words[2] if len(line.words) > 2 else ""
            if "admin" in line.words[3:] and ":" in address and not _private(address):
                yield risk(
                    "stats socket",
                    f"the stats socket on {address} lets whoever connects control HAProxy",
                    Severity.HIGH,
                    Evidence("stats socket", "level admin", source=cfg.place(line.line)),
                    "Listen on a unix socket",
                    ("# in global",
                     "stats socket /run/haproxy/admin.sock mode 660 group haproxy level admin"),
                    "tools that use the port must change",
                )  # fmt: skip


def _private(address: str) -> bool:
    """Loopback or a unix socket."""
    address = address.removeprefix("ipv4@").removeprefix("ipv6@").strip("[")
    return address.startswith(("127.", "localhost:", "::1]", "/", "unix@", "abns@", "fd@"))
