"""Nodes of RabbitMQ: what runs out, and nodes that are gone."""

from collections.abc import Iterator, Mapping
from shlex import quote

from scaledoctor.sdk import (
    Evidence,
    Finding,
    Fix,
    Kind,
    Severity,
    Step,
    Unavailable,
    Use,
    Window,
    check,
    resource,
)
from scaledoctor.sources.rabbitmq import RabbitAlarms, RabbitMemory, RabbitNode, RabbitNodes
from scaledoctor_checks.queues._rabbitmq import size

NODES = "/api/nodes"


@resource("rabbitmq.node", step=Step.SCALE_OUT)
def node(
    window: Window[RabbitNodes],
    alarms: RabbitAlarms | None,
    /,
    *,
    warn: float = 0.8,
    critical: float = 0.9,
) -> Iterator[Use]:
    """Memory, files, connections and processes of each node, of what it may have.

    How measured: the last figures of /api/nodes, up to ten seconds old. Memory is contended only
    in an alarm; files, sockets and processes when they are gone: then nobody gets in.
    Thresholds: busy from ``warn``, saturated from ``critical``, where peers alert.
    """
    alarmed = {name for name, what in alarms.alarms if what == "memory"} if alarms else set()
    for each in window.last.nodes:
        for what, (used, limit, unit) in limits(each).items():
            scale = 1e6 if what == "memory" else 1.0
            yield Use(
                used=used / scale,
                limit=limit / scale,
                unit="MB" if what == "memory" else unit,
                warn=warn,
                critical=critical,
                contended=each.name in alarmed if what == "memory" else used >= limit,
                scales=what != "memory",
                subject=f"{each.name} {what}",
            )


def limits(each: RabbitNode) -> Mapping[str, tuple[int, int, str]]:
    """Used, limit and unit of everything that a node tells, by what it is."""
    rows = {
        "memory": (each.memory, each.memory_limit, "bytes"),
        "files": (each.files, each.files_limit, "open files"),
        "sockets": (each.sockets, each.sockets_limit, "connections"),
        "processes": (each.processes, each.processes_limit, "Erlang processes"),
    }
    return {w: (used, limit, unit) for w, (used, limit, unit) in rows.items() if used and limit}


def largest_part(memory: RabbitMemory | None, name: str) -> Iterator[Evidence]:
    """What a node keeps most of in memory."""
    kept = [(size_, what) for where, what, size_ in memory.kept if where == name] if memory else []
    if kept:
        most, what = max(kept)
        yield Evidence(f"most memory goes to {what}", float(most), "bytes", None, f"{NODES}/memory")


@check("rabbitmq.node-limits", step=Step.SCALE_OUT)
def node_limits(
    nodes: RabbitNodes,
    alarms: RabbitAlarms | None,
    memory: RabbitMemory | None,
    /,
    *,
    near: float = 0.8,
    nearer: float = 0.9,
    disk: float = 2.0,
) -> Iterator[Finding]:
    """A node of RabbitMQ comes near the end of its memory, disk, files or processes.

    Why: at the limit of memory or disk all publishers are blocked; without files or sockets
    nobody gets a connection; without processes the node ends.
    How measured: /api/nodes, used over limit: a risk from ``near``, high from ``nearer``, live
    once files, sockets or processes are used up; free disk below ``disk`` times its limit. An
    alarm in effect is rabbitmq.alarm.
    Fix: what fills memory and disk is queues; files and sockets have limits of the system.
    When to ignore: a limit on memory that is kept low on purpose.
    References: RabbitMQ, Production Checklist; awesome-prometheus-alerts warn at 90 %.
    """
    if nodes.nodes and not any(limits(each) for each in nodes.nodes):
        reason = "RabbitMQ does not tell what its nodes use"
        raise Unavailable(reason, "management.disable_stats = false in rabbitmq.conf")
    alarmed = set(alarms.alarms) if alarms else set()
    for each in nodes.nodes:
        for what, (used, limit, unit) in limits(each).items():
            if used >= near * limit and (each.name, what) not in alarmed:
                severity = Severity.HIGH if used >= nearer * limit else Severity.MEDIUM
                gone = what != "memory" and used >= limit
                yield _near(each, what, (used, limit, unit), severity, memory, near, gone=gone)
        free, least = each.disk_free, each.disk_limit
        if free and least and free < disk * least and (each.name, "disk") not in alarmed:
            yield _disk(each, free, least, disk)


def _near(
    each: RabbitNode,
    what: str,
    row: tuple[int, int, str],
    severity: Severity,
    memory: RabbitMemory | None,
    near: float,
    *,
    gone: bool,
) -> Finding:
    used, limit, unit = row
    shown = (size(used), size(limit)) if what == "memory" else (f"{used:,}", f"{limit:,} {unit}")
    return Finding(
        subject=f"{what} of {each.name}",
        summary=f"{each.name} uses {shown[0]} of {shown[1]} ({used / limit:.0%}, {what})",
        severity=Severity.CRITICAL if gone else severity,
        evidence=(
            Evidence(f"{what} used", float(used), f"of {limit} {unit}", near * limit, NODES),
            *(largest_part(memory, each.name) if what == "memory" else ()),
        ),
        fixes=(_FIXES[what](each, limit),),
        explains={f"rabbitmq.node:{each.name} {what}": 1.0},
        impact=1.0 if gone else 0.0,
        kind=Kind.LIVE if gone else Kind.RISK,
    )


def _memory(each: RabbitNode, limit: int) -> Fix:
    return Fix(
        "See what fills its memory before the alarm blocks publishers",
        (
            f"rabbitmq-diagnostics -n {quote(each.name)} memory_breakdown --unit MB",
            "rabbitmqctl list_queues --vhost / name messages message_bytes_ram memory "
            "| sort -k4 -n | tail",
        ),
        "shell",
        risk="none: looking only",
        verify="scaledoctor scan again: memory below 80 %",
        undo="none needed",
    )


def _files(each: RabbitNode, limit: int) -> Fix:
    return Fix(
        f"Let {each.name} open {2 * limit} files",
        (
            "systemctl edit rabbitmq-server",
            f"# [Service] LimitNOFILE={2 * limit}",
            "systemctl restart rabbitmq-server",
        ),
        "shell",
        risk="the restart ends its connections; in a cluster one node after the other",
        verify="rabbitmq-diagnostics status; fewer connections would be better",
        undo="systemctl revert rabbitmq-server, and restart it",
    )


def _processes(each: RabbitNode, limit: int) -> Fix:
    return Fix(
        "Close channels and queues that nobody uses; each takes several Erlang processes",
        (
            "rabbitmqctl list_connections name user channels | sort -k3 -n | tail",
            "# then, if all of them are needed, in rabbitmq-env.conf:",
            f'# RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+P {2 * limit}"',
        ),
        "shell",
        risk="none: looking only; +P takes a restart",
        verify="scaledoctor scan again: processes below 80 %",
        undo="the old +P",
    )


_FIXES = {"memory": _memory, "files": _files, "sockets": _files, "processes": _processes}


def _disk(each: RabbitNode, free: int, least: int, times: float) -> Finding:
    return Finding(
        subject=f"disk of {each.name}",
        summary=f"{each.name} has {size(free)} of disk left; at {size(least)} it blocks publishers",
        severity=Severity.HIGH if free < 1.2 * least else Severity.MEDIUM,
        evidence=(Evidence("disk free", float(free), "bytes", times * least, NODES),),
        fixes=(
            Fix(
                "Free disk space on it",
                ("du -xsh /var/lib/rabbitmq/* /var/log/* | sort -h | tail",),
                "shell",
                risk="none: looking only",
                verify="scaledoctor scan again",
                undo="none needed",
            ),
        ),
        kind=Kind.RISK,
    )


@check("rabbitmq.node-down", step=Step.SCALE_OUT)
def node_down(nodes: RabbitNodes, /) -> Iterator[Finding]:
    """A node of the cluster is down, or has lost sight of others.

    Why: queues that live there alone are gone for now; parts that do not see each other take
    different messages for the same queue.
    How measured: /api/nodes, running and partitions.
    Fix: start it; after a partition restart the smaller part.
    When to ignore: a node that is taken out on purpose: rabbitmqctl forget_cluster_node.
    References: RabbitMQ, Clustering; Network Partitions.
    """
    down = [n for n in nodes.nodes if not n.running]
    split = [n for n in nodes.nodes if n.partitions]
    count = len(nodes.nodes)
    for each in (*down, *(n for n in split if n.running)):
        apart = bool(each.partitions)
        what = f"does not see {', '.join(each.partitions)}" if apart else "is down"
        yield Finding(
            subject=each.name,
            summary=f"{each.name} {what}, a node of a cluster of {count}",
            severity=Severity.CRITICAL if apart else Severity.HIGH,
            evidence=(
                Evidence("nodes down", float(len(down)), f"of {count}", 0.0, NODES),
                Evidence("nodes in a partition", float(len(split)), f"of {count}", 0.0, NODES),
            ),
            fixes=(
                Fix(
                    f"Restart {each.name}",
                    ("rabbitmqctl cluster_status", "# on that node:",
                     "systemctl restart rabbitmq-server"),
                    "shell",
                    risk="after a partition what only the smaller part took is lost",
                    verify="rabbitmqctl cluster_status",
                    undo="none needed",
                ),
            ),
            impact=1 / count if not apart else 0.5,
        )  # fmt: skip
