"""Connections and channels that are opened for every message."""

from collections.abc import Iterator

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Severity,
    Step,
    Unavailable,
    Window,
    check,
)
from scaledoctor.sources.rabbitmq import RabbitClients, RabbitLogins, RabbitOverview
from scaledoctor_checks.queues._rabbitmq import OVER

OVERVIEW = "/api/overview, churn_rates"


@check("rabbitmq.connection-churn", step=Step.POOL)
def connection_churn(
    window: Window[RabbitOverview],
    logins: Window[RabbitLogins] | None,
    /,
    *,
    rate: float = 5.0,
    high: float = 50.0,
    share: float = 0.5,
) -> Iterator[Finding]:
    """Clients open a new connection to RabbitMQ all the time.

    Why: each takes about seven round trips, three processes and, with TLS, a key exchange on both
    sides, before the first message goes out; the requests that publish wait for it.
    How measured: connections opened in a window of 10 s, from ``rate`` per second, high from
    ``high``. The user and address are named that made ``share`` of the logins, if the broker
    keeps track of these: a connection that ends within seconds is in no list. Thresholds: five
    per second is a deployment of a large site going on for ever; RabbitMQ's guide calls a hundred
    "high churn".
    Fix: one long-lived connection for each process.
    When to ignore: PHP without a proxy in between cannot keep one; put amqproxy in front.
    References: RabbitMQ, Connections: high connection churn; CloudAMQP, AMQProxy.
    """
    opened = _rate(window, "connections_opened")
    if opened < rate:
        return
    yield _churn("connection", opened, (rate, high), _busiest(logins, share), window)


@check("rabbitmq.channel-churn", step=Step.POOL)
def channel_churn(
    window: Window[RabbitOverview],
    clients: Window[RabbitClients] | None,
    /,
    *,
    rate: float = 50.0,
    high: float = 500.0,
    share: float = 0.5,
) -> Iterator[Finding]:
    """Clients open a new channel for every message.

    Why: a channel costs two round trips and several processes; opened per message it takes
    longer than the message.
    How measured: channels opened in a window of 10 s less connections opened, from ``rate`` per
    second, high from ``high``. The application is named that has ``share`` of all channels.
    Thresholds: a hundredth of what one node opens at most, and no application has so many threads.
    Fix: one channel for each thread, kept open.
    When to ignore: never at that rate.
    References: RabbitMQ, Channels: high channel churn.
    """
    opened = _rate(window, "channels_opened") - _rate(window, "connections_opened")
    if opened < rate:
        return
    rows = clients.last.clients if clients else ()
    largest = max(rows, key=lambda c: (c.channels, c.name), default=None)
    every = sum(c.channels for c in rows)
    named = largest and largest.channels and largest.channels >= share * every
    who = largest.name if largest and named else ""
    yield _churn("channel", opened, (rate, high), who, window)


def _rate(window: Window[RabbitOverview], counter: str) -> float:
    """Opened per second.

    Raises:
        Unavailable: the window is too short, or the broker does not count.

    """
    if window.seconds < OVER:
        reason = "RabbitMQ's figures change every 5 s: rates need 10 s"
        raise Unavailable(reason, "scan with --window 10")
    counts = [getattr(sample, counter) for sample in window]
    if None in counts:
        raise Unavailable("RabbitMQ does not count what is opened here", "RabbitMQ 3.7 and later")
    found = window.rate(lambda sample: float(getattr(sample, counter)))
    if found is None:
        raise Unavailable("the counters were reset in the window: a node was restarted")
    return found


def _busiest(logins: Window[RabbitLogins] | None, share: float) -> str:
    """Who made most of the logins in the window; empty where nobody stands out or is told."""
    if logins is None or len(logins) < 2:
        return ""
    first = {(r.user, r.address): r.count for r in logins.first.logins}
    grown = {r.label: r.count - first.get((r.user, r.address), 0) for r in logins.last.logins}
    label, most = max(grown.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    return label if most > 0 and most >= share * sum(grown.values()) else ""


def _churn(
    what: str,
    opened: float,
    limits: tuple[float, float],
    who: str,
    window: Window[RabbitOverview],
) -> Finding:
    told = all(sample.published is not None for sample in window)
    published = window.rate(lambda s: s.published or 0) if told else None
    per = f": one for every {published / opened:.1f} messages published" if published else ""
    return Finding(
        subject=who or f"{what}s",
        summary=f"{who or 'clients'} open{'s' if who else ''} {opened:.0f} {what}s per second{per}",
        severity=Severity.HIGH if opened >= limits[1] else Severity.MEDIUM,
        confidence=Confidence.HIGH if who else Confidence.MEDIUM,
        evidence=(
            Evidence(f"{what}s opened", opened, "per second", limits[0], OVERVIEW),
            *((Evidence("published", published, "messages/s", source="/api/overview"),)
              if published is not None else ()),
        ),
        fixes=(*(() if who or what == "channel" else (_find(),)), _keep(what, who)),
        # Of all that publishers do, what is spent on opening: counted in operations.
        impact=opened / (opened + (published or 0.0)),
    )  # fmt: skip


def _find() -> Fix:
    track = "rabbitmqctl eval 'application:set_env(rabbit, track_auth_attempt_source, {}).'"
    return Fix(
        "Find out who: have the broker count logins by user and address for a minute",
        (
            track.format("true"),
            "# scan again: the busiest one is named; then",
            track.format("false"),
        ),
        "shell",
        risk="a few bytes for each address and user until it is turned off",
        verify="scaledoctor scan again: this finding has a name",
        undo=track.format("false"),
    )


def _keep(what: str, who: str) -> Fix:
    return Fix(
        f"Let {who or 'each application'} keep one {what} for each "
        f"{'process' if what == 'connection' else 'thread'}",
        (
            "connection = pika.BlockingConnection(parameters)   # once, when the process starts",
            "channel = connection.channel()                     # once for each thread",
            "# per message only: channel.basic_publish(...); close both when the process ends",
            "# Celery: broker_pool_limit = 10, never None; PHP: amqproxy -l 127.0.0.1 -u amqp://...",
        ),
        "text",
        risk="a lost connection must be opened again: heartbeats, and one retry of the publish",
        verify="rabbitmqctl list_connections name connected_at; the oldest stay",
        undo="the old code",
    )
