"""Replicas that are cut off, behind, or copied from scratch again and again."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, Window, check
from scaledoctor.sources.redis.health import RedisHealth
from scaledoctor_checks.postgres._words import duration
from scaledoctor_checks.redis._words import INFO, size


@check("redis.replication", step=Step.SCALE_OUT)
def replication(
    health: Window[RedisHealth],
    /,
    *,
    apart: float = 10.0,
    silent: float = 10.0,
    full: int = 2,
) -> Iterator[Finding]:
    """A replica has lost its master, is far behind, or is copied again and again.

    Why: it gives old answers, and nobody can take over; a full copy forks the master, fills the
    network and the disk, and starts anew when the connection breaks once more.
    How measured: a replica whose link has been down for ``apart`` seconds, or ever since it
    started, and that is not getting its first copy: high; on the master
    a replica that is behind by more than the backlog, or silent for ``silent`` seconds, at both
    edges of the window; ``full`` copies or more in the window.
    Fix: the network between them; a backlog that outlasts a short interruption.
    When to ignore: a replica that was just added.
    References: Redis, Replication; repl-backlog-size.
    """
    now = health.last
    link = [h.replication for h in health]
    lost = now.replication.apart is None or now.replication.apart >= apart
    if lost and all(r.replica and not r.linked and not r.syncing for r in link):
        yield _cut_off(now, apart)
    late = [r for r in now.replication.replicas if _late(now, r.behind, r.silent, silent)]
    before = health.first.replication.replicas
    if late and any(_late(health.first, r.behind, r.silent, silent) for r in before):
        worst = max(late, key=lambda r: (r.behind, r.silent))
        yield _behind(now, worst.behind, worst.silent, silent)
    copies = health.delta(lambda h: h.replication.full) or 0.0
    if copies >= full:
        yield _copied(now, copies, health.seconds, full)


def _late(now: RedisHealth, behind: int, quiet: int, silent: float) -> bool:
    return behind > max(now.replication.backlog, 1 << 20) or quiet >= silent


def _cut_off(now: RedisHealth, apart: float) -> Finding:
    gone = now.replication.apart
    since = f"lost its master {duration(gone)} ago" if gone is not None else "never had its master"
    return Finding(
        subject="link to the master",
        summary=f"this replica {since}: its answers grow old, or it gives none",
        severity=Severity.HIGH,
        evidence=(Evidence("link down", "since it started" if gone is None else float(gone),
                           "s", apart, INFO),),
        fixes=(
            Fix(
                "Is the master there, and may the replica log in?",
                ("redis-cli INFO replication  # master_host, master_port",
                 "redis-cli CONFIG GET masteruser  # and masterauth: does the master know it?"),
                "shell",
                risk="none: looking only",
                verify="redis-cli INFO replication: master_link_status:up",
                undo="none needed",
            ),
        ),
        impact=0.3,  # whoever reads here gets old answers; how many is not seen
    )  # fmt: skip


def _backlog(now: RedisHealth) -> Fix:
    wanted = max(4 * now.replication.backlog, 64 << 20) >> 20
    return Fix(
        f"A backlog of {wanted} MB lets a replica catch up after an interruption",
        (f"redis-cli CONFIG SET repl-backlog-size {wanted}mb",
         "redis-cli INFO replication  # offset and lag of each replica"),
        "shell",
        risk="takes that much memory, once for all replicas",
        verify="scaledoctor scan again: no full copies",
        undo=f"redis-cli CONFIG SET repl-backlog-size {now.replication.backlog}",
    )  # fmt: skip


def _behind(now: RedisHealth, behind: int, quiet: int, silent: float) -> Finding:
    return Finding(
        subject="replica",
        summary=f"a replica is {size(behind)} behind, its last word {quiet} s ago; the backlog "
        f"holds {size(now.replication.backlog)}",
        severity=Severity.MEDIUM,
        evidence=(
            Evidence("bytes behind", float(behind), "bytes", float(now.replication.backlog), INFO),
            Evidence("silent", float(quiet), "s", silent, INFO),
        ),
        fixes=(_backlog(now),),
        kind=Kind.RISK,
    )


def _copied(now: RedisHealth, copies: float, seconds: float, full: int) -> Finding:
    return Finding(
        subject="full copies",
        summary=f"{copies:.0f} full copies were sent to replicas in {seconds:.0f} s: each forks, "
        f"and sends {size(now.memory.used)}",
        severity=Severity.MEDIUM,
        evidence=(
            Evidence("full copies in the window", copies, "copies", float(full), INFO),
            Evidence("replicas connected", float(len(now.replication.replicas)), source=INFO),
            Evidence("backlog", size(now.replication.backlog), source=INFO),
        ),
        fixes=(_backlog(now),),
        impact=min(1.0, copies * max(now.persistence.fork, 0.01) / max(seconds, 1.0)),
    )
