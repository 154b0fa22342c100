"""Connections: against the limit, refused, blocked, and opened for every request."""

from collections.abc import Iterator

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Kind,
    Reach,
    Severity,
    Step,
    Use,
    Window,
    check,
    resource,
)
from scaledoctor.sources.redis.config import RedisConfig
from scaledoctor.sources.redis.connected import RedisClients
from scaledoctor.sources.redis.health import RedisHealth
from scaledoctor_checks.redis._facts import require_rates
from scaledoctor_checks.redis._words import INFO, setting

LIST = "CLIENT LIST"


@resource("redis.clients", step=Step.POOL)
def clients(
    health: Window[RedisHealth], /, *, warn: float = 0.8, critical: float = 0.95
) -> Use | None:
    """Connections against maxclients.

    How measured: connected_clients, the mean of both edges; refused ones are its errors.
    Thresholds: busy from ``warn`` of maxclients, full from ``critical``; peers alert at 0.9.
    """
    limit = health.last.clients_limit
    if not limit:
        return None
    return Use(
        used=health.mean(lambda h: h.connected),
        limit=float(limit),
        unit="connections",
        warn=warn,
        critical=critical,
        errors=health.delta(lambda h: h.rejected) or 0.0,
    )


@check("redis.max-clients", step=Step.POOL, on="redis")
def max_clients(
    reach: Reach,
    health: Window[RedisHealth] | None,
    connected: RedisClients | None,
    config: RedisConfig | None,
    /,
    *,
    near: float = 0.9,
) -> Iterator[Finding]:
    """It has all the connections that it takes, and refuses new ones.

    Why: whoever is refused fails at once, web request or worker.
    How measured: growth of rejected_connections in the window, or this scan was refused for it:
    critical. At ``near`` of maxclients without a refusal it is a risk (peers: 90 %).
    Fix: a pool of connections in each application; idle ones ended; then a higher limit.
    When to ignore: never while connections are refused.
    References: Redis, Client handling: maxclients; awesome-prometheus-alerts, Redis.
    """
    if health is None:
        if reach.category == "slots":
            yield _refused_us(reach)
        return
    now, refused = health.last, health.delta(lambda h: h.rejected) or 0.0
    full = now.connected / now.clients_limit if now.clients_limit else 0.0
    if not refused and full < near:
        return
    held = f"{now.connected:,} of {now.clients_limit or 'unknown'}"
    opened = health.delta(lambda h: h.connections) or 0.0
    yield Finding(
        subject="maxclients",
        summary=f"{now.product} refused {refused:,.0f} connections in {health.seconds:.0f} s: "
        f"{held} are open"
        if refused
        else f"{now.product} holds {held} connections: soon it refuses new ones",
        severity=Severity.CRITICAL if refused else Severity.MEDIUM,
        evidence=(
            Evidence("connections refused", refused, "in the window", 1.0, INFO),
            Evidence("connections", full, "of maxclients", near, INFO),
            *_holders(connected),
            *_timeout(config),
        ),
        fixes=tuple(_ways(now, config)),
        explains={"redis.clients": 1.0},
        impact=refused / max(opened + refused, 1.0) if refused else 0.0,
        kind=Kind.LIVE if refused else Kind.RISK,
    )


def _refused_us(reach: Reach) -> Finding:
    return Finding(
        subject="maxclients",
        summary="Redis refuses connections, this scan's too: it has as many as maxclients allows",
        severity=Severity.CRITICAL,
        confidence=Confidence.HIGH,
        evidence=(Evidence("answer", reach.message, source="the scan's own connection"),),
        fixes=(_idle(),),
        impact=0.5,  # how many others are refused is not seen
    )


def _holders(connected: RedisClients | None) -> Iterator[Evidence]:
    for group in connected.groups[:3] if connected else ():
        yield Evidence(f"held by {group.name}", float(group.connections),
                       f"connections, {group.idle:,} idle for a minute", source=LIST)  # fmt: skip


def _timeout(config: RedisConfig | None) -> Iterator[Evidence]:
    if config and "timeout" in config.values:
        value = config.values["timeout"]
        yield Evidence("timeout of idle ones", value, "s (0: never)", source="CONFIG GET")


def _idle() -> Fix:
    return Fix(
        "End connections that nobody uses, and pool the others",
        (
            "redis-cli CONFIG SET timeout 300  # ends a connection idle for 5 minutes",
            "# in each application one pool for all threads: redis.ConnectionPool("
            "max_connections=20)",
        ),
        "shell",
        risk="a client that does not reconnect by itself fails once; subscribers are spared",
        verify="scaledoctor scan again: redis.clients below 80 %",
        undo="redis-cli CONFIG SET timeout 0",
    )


def _ways(now: RedisHealth, config: RedisConfig | None) -> Iterator[Fix]:
    yield _idle()
    more = 2 * (now.clients_limit or 10_000)
    yield setting(
        f"Allow {more:,} connections, once it is known who needs them",
        "maxclients", str(more), config,
        risk="each takes some 20 kB and a file descriptor: ulimit -n must be above it",
        verify="redis-cli INFO clients",
        undo=f"redis-cli CONFIG SET maxclients {now.clients_limit or 10_000}",
    )  # fmt: skip


@check("redis.blocked-clients", step=Step.SCALE_OUT)
def blocked_clients(
    window: Window[RedisClients], health: Window[RedisHealth], /, *, several: int = 3
) -> Iterator[Finding]:
    """Clients wait for replicas to confirm what they wrote.

    Why: WAIT holds a request until so many replicas have it; a slow one holds all requests.
    How measured: ``several`` clients blocked in WAIT or WAITAOF at both edges of the window.
    Clients that wait in BLPOP, XREAD BLOCK and the like are workers without work: healthy.
    Fix: mend the replica that is behind; fewer replicas to wait for.
    When to ignore: no write may be lost, and the wait is wanted.
    References: Redis, WAIT, WAITAOF; INFO, blocked_clients.
    """
    waiting = [sum(c.blocked.get(name, 0) for name in ("wait", "waitaof")) for c in window]
    if min(waiting) < several:
        return
    mean = sum(waiting) / len(waiting)
    replicas = health.last.replication.replicas
    yield Finding(
        subject="WAIT",
        summary=f"{mean:.0f} clients wait for replicas to confirm; {len(replicas)} are connected",
        severity=Severity.MEDIUM,
        evidence=(
            Evidence("clients blocked in WAIT, mean", mean, "clients", float(several), LIST),
            Evidence("replicas connected", float(len(replicas)), "replicas", source=INFO),
            Evidence("clients in all", float(health.last.connected), "clients", source=INFO),
        ),
        fixes=(
            Fix(
                "Look at the replicas, then at how many a write waits for",
                ("redis-cli INFO replication  # offset and lag of each replica",
                 "# WAIT 1 100: one replica, and 100 ms at most"),
                "shell",
                risk="a write that fewer replicas have may be lost with its master",
                verify="scaledoctor scan again: nobody waits",
                undo="the old number of replicas",
            ),
        ),
        impact=min(1.0, mean / max(1, health.last.connected)),
    )  # fmt: skip


@check("redis.connection-churn", step=Step.POOL)
def connection_churn(
    health: Window[RedisHealth],
    connected: RedisClients | None,
    /,
    *,
    rate: float = 10.0,
    share: float = 0.1,
    costly: float = 100.0,
) -> Iterator[Finding]:
    """Connections are opened for a few commands each.

    Why: opening one takes some round trips, with TLS ten times that, and the server's one thread.
    How measured: growth of total_connections_received: ``rate`` per second and ``share`` of the
    commands. Low; medium from ``costly`` per second.
    Fix: one pool of connections in each process, kept between requests.
    When to ignore: programs that start, ask once and end.
    References: Redis, Client handling; redis-py, connection pools; phpredis, pconnect.
    """
    require_rates(health)
    opened, commands = health.rate(lambda h: h.connections), health.rate(lambda h: h.commands_run)
    if opened is None or commands is None or opened < rate or opened < share * commands:
        return
    yield Finding(
        subject="connections",
        summary=f"{opened:,.0f} connections are opened each second, for "
        f"{commands / opened:.1f} commands each",
        severity=Severity.MEDIUM if opened >= costly else Severity.LOW,
        evidence=(
            Evidence("connections opened", opened, "per second", rate, INFO),
            Evidence("of the commands", opened / max(commands, opened), "share", share, INFO),
            *_holders(connected),
        ),
        fixes=(
            Fix(
                "Keep connections: one pool in each process, made when it starts",
                ("pool = redis.ConnectionPool.from_url(URL, max_connections=20)  # once",
                 "redis.Redis(connection_pool=pool)  # for each request",
                 "# PHP: pconnect instead of connect"),
                "text",
                risk="none below maxclients: processes x pool size",
                verify="scaledoctor scan again: fewer than 10 connections opened each second",
                undo="the old calls",
            ),
        ),
        # A connection costs about three commands: TCP, HELLO with its password, CLIENT SETINFO.
        impact=3 * opened / (commands + 3 * opened) / 2,
    )  # fmt: skip
