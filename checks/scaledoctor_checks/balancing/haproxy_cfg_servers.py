"""haproxy.cfg: servers without a check, hash balancing, weights that nobody took back."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Severity, Step, check
from scaledoctor.sources.haproxy_cfg import HaproxyCfg, Section
from scaledoctor_checks.balancing._bounded import bounded
from scaledoctor_checks.balancing._haproxy_cfg import CfgServer, balanced, mode, places, risk
from scaledoctor_checks.balancing._haproxy_words import names


@check("haproxy.cfg-unchecked", step=Step.SCALE_OUT)
def cfg_unchecked(cfg: HaproxyCfg, /) -> Iterator[Finding]:
    """Servers stand in haproxy.cfg without a health check.

    Why: HAProxy goes on sending requests to one that has died.
    How measured: servers without check or track, of their own or from default-server, in
    sections with two servers or more.
    Fix: one default-server line.
    When to ignore: when the server is a balancer that checks for itself.
    References: HAProxy, configuration manual, "check", "option httpchk".
    """
    yield from bounded(
        risk(
            section.label,
            f"{section.label}: {names([s.name for s in without])} "
            f"{'is' if len(without) == 1 else 'are'} never checked",
            Severity.MEDIUM,
            Evidence("check", "not set", source=places(cfg, [s.line for s in without])),
            "Check every server",
            (
                f"# in {section.label}",
                "option httpchk GET /health"
                if mode(cfg, section) == "http"
                else "option tcp-check",
                "default-server check inter 2s fall 3 rise 2",
            ),
            "a check that fails takes its server out: try the page with curl first",
        )
        for section, servers in balanced(cfg)
        if (without := [s for s in servers if not s.checked])
    )


@check("haproxy.cfg-hash-balancing", step=Step.SCALE_OUT)
def cfg_hash_balancing(cfg: HaproxyCfg, /) -> Iterator[Finding]:
    """A backend is balanced by the client's address or another hash.

    Why: few clients, or many behind one address, all land on one server. With four servers and
    10 clients the busiest has 1.5 times its share in 84 % of all cases, with 100 in 35 %
    (simulated).
    How measured: balance source, uri, url_param, hdr, rdp-cookie or hash in a section with two
    servers or more.
    Fix: least connections, or a bound on each server's share.
    When to ignore: when caches in the servers need the same pages.
    References: HAProxy, configuration manual, "balance", "hash-balance-factor".
    """
    hashes = ("source", "uri", "url_param", "hdr", "rdp-cookie", "hash")
    yield from bounded(
        risk(
            section.label,
            f"{section.label} is balanced by a hash: balance {line.words[1]}",
            Severity.LOW,
            Evidence("balance", line.words[1], source=cfg.place(line.line)),
            "Give requests to the server with the fewest open ones",
            (f"# in {section.label}", "balance leastconn",
             "# or keep the hash: hash-type consistent, hash-balance-factor 150"),
            "what lives in one server's memory only is not found by the others",
        )
        for section, _ in balanced(cfg)
        if (line := cfg.setting(section, "balance")) and "".join(line.words[1:2]).startswith(hashes)
    )  # fmt: skip


@check("haproxy.cfg-dead-weight", step=Step.SCALE_OUT)
def cfg_dead_weight(cfg: HaproxyCfg, /, *, ratio: float = 0.1) -> Iterator[Finding]:
    """A server has weight 0, or a fraction of the others' weight.

    Why: it costs as much as the others and does next to nothing; often a rollout or a drain was
    not ended.
    How measured: weight 0, or at most ``ratio`` of the highest in its section. Backups are left
    out.
    Fix: its old weight, or no server.
    When to ignore: a canary that is meant, or a smaller machine.
    References: HAProxy, configuration manual, "weight".
    """
    yield from bounded(
        _dead(cfg, section, server, most, ratio)
        for section, servers in balanced(cfg)
        if (most := max((s.weight for s in servers if not s.has("backup")), default=0))
        for server in servers
        if server.weight <= ratio * most and not server.has("backup")
    )


def _dead(cfg: HaproxyCfg, section: Section, server: CfgServer, most: int, ratio: float) -> Finding:
    place = cfg.place(server.line)
    return risk(
        f"{section.name}/{server.name}",
        f"{section.label}: {server.name} has weight {server.weight}, others {most}",
        Severity.LOW,
        Evidence("weight", float(server.weight), f"of {most}", ratio * most, place),
        "Give it its weight back, or remove the server",
        (f"# {place}", f"server {server.name} ... weight {most}"),
        "it gets its share at once: warm its caches first",
    )
