"""What HAProxy does not show us."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, check
from scaledoctor.sources.haproxy import HaproxyStats
from scaledoctor.sources.haproxy_cfg import HaproxyCfg
from scaledoctor_checks.balancing._haproxy import SOURCE


@check("haproxy.servers-unlisted", step=Step.IDENTIFY)
def servers_unlisted(stats: HaproxyStats, /) -> Iterator[Finding]:
    """There are more servers than are looked at one by one.

    Why: of the rest the sums of their backend are known, but not which server is slow.
    How measured: servers without a row of their own; those of the busiest backends have one, and
    in each of them those that are down first.
    Fix: none needed; scan each HAProxy with the backends of interest.
    When to ignore: when the busiest backends are what matters.
    References: HAProxy, configuration manual, "stats scope".
    """
    if stats.unlisted:
        total = stats.unlisted + len(stats.servers)
        yield _blind(
            "servers",
            f"{len(stats.servers):,} of {total:,} servers are looked at one by one, the others "
            "in the sums of their backends",
            Evidence("servers in sums only", float(stats.unlisted), f"of {total}", None, SOURCE),
            Fix(
                "Show one backend only on a stats page of its own",
                ("# in a frontend for scans", "stats enable", "stats uri /stats",
                 "stats scope NAME"),
                language="text",
                risk="none",
                verify="the page shows the one backend",
                undo="remove the lines",
            ),
        )  # fmt: skip


@check("haproxy.algorithm-unseen", step=Step.IDENTIFY)
def algorithm_unseen(stats: HaproxyStats, cfg: HaproxyCfg | None, /) -> Iterator[Finding]:
    """HAProxy does not tell how it balances.

    Why: without the algorithm an uneven spread cannot be told from one that is meant.
    How measured: the columns algo and cookie are empty for every backend with servers, and
    there is no --haproxy-cfg that tells instead.
    Fix: stats show-legends on the page, or a socket of level operator.
    When to ignore: when nothing is spread unevenly.
    References: HAProxy, configuration manual, "stats show-legends", "stats socket ... level".
    """
    members = [b for b in stats.backends if b.servers]
    if members and cfg is None and not any(b.algorithm for b in members):
        count = f"{len(members)} backends" if len(members) > 1 else f"backend {members[0].name}"
        yield _blind(
            "balance",
            f"the balancing algorithm of {count} is not shown at this level",
            Evidence("backends whose algorithm is hidden", float(len(members)), source=SOURCE),
            Fix(
                "Show the algorithms, on the page or on a socket for scans",
                (
                    "# where stats enable stands",
                    "stats show-legends",
                    "# or in global",
                    "stats socket /run/haproxy/scan.sock mode 660 group haproxy level operator",
                ),
                language="text",
                risk="the page then shows addresses and cookie names; operator may clear counters",
                verify="scaledoctor scan: this line is gone",
                undo="remove the lines",
            ),
        )


def _blind(subject: str, summary: str, evidence: Evidence, fix: Fix) -> Finding:
    return Finding(
        subject=subject,
        summary=summary,
        severity=Severity.INFO,
        evidence=(evidence,),
        fixes=(fix,),
        kind=Kind.BLIND_SPOT,
    )
