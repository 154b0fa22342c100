"""What RabbitMQ does not show, or not to this user."""

from collections.abc import Iterator
from shlex import quote

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, check
from scaledoctor.sources.rabbitmq import RabbitHidden, RabbitOverview, RabbitQueues, permit


@check("rabbitmq.hidden-queues", step=Step.IDENTIFY)
def hidden_queues(hidden: RabbitHidden, /) -> Iterator[Finding]:
    """This user may not see all queues.

    Why: RabbitMQ answers with a shorter list and no error; what was not seen is not healthy.
    How measured: the number of queues in /api/overview over those that are listed.
    Fix: a permission that matches nothing, on each virtual host: it lets see and nothing else.
    When to ignore: the other virtual hosts are somebody else's.
    References: RabbitMQ, Access Control; Management, Permissions.
    """
    if not hidden.queues:
        return
    where = f" in {', '.join(hidden.vhosts)}" if hidden.vhosts else ""
    yield Finding(
        subject=f"user {hidden.user}",
        summary=f"user {hidden.user} may not see {hidden.queues} queues{where}",
        severity=Severity.LOW,
        evidence=(Evidence("queues not listed", float(hidden.queues), "queues", 0.0,
                           "/api/overview, /api/queues"),),
        fixes=(
            Fix(
                "Let it see them",
                tuple(permit(hidden.user, vhost) for vhost in hidden.vhosts or ("VHOST",)),
                "shell",
                risk="it may log in there, and neither change, publish nor consume",
                verify="this line is gone",
                undo=f"rabbitmqctl clear_permissions -p VHOST {quote(hidden.user)}",
            ),
        ),
        kind=Kind.BLIND_SPOT,
    )  # fmt: skip


@check("rabbitmq.not-told", step=Step.IDENTIFY)
def not_told(overview: RabbitOverview, queues: RabbitQueues, /) -> Iterator[Finding]:
    """RabbitMQ does not tell what a diagnosis needs.

    Why: what was not seen is not healthy.
    How measured: statistics are turned off; more queues than are looked at; streams, whose
    consumers' lag is not in the management API.
    Fix: see each.
    When to ignore: another system watches these.
    References: RabbitMQ, Management: disabling statistics; Streams.
    """
    if not overview.statistics:
        yield _blind(
            "management.disable_stats",
            "RabbitMQ keeps no statistics: no consumers, no rates, no ages",
            "Turn them on",
            ("# rabbitmq.conf", "management.disable_stats = false"),
        )
    if queues.total > len(queues.queues):
        yield _blind(
            "queues",
            f"{len(queues.queues)} of {queues.total} queues were looked at: those with the most "
            "messages",
            "Give what clients declare by the thousand an end: it is mostly forgotten queues",
            ("rabbitmqctl list_queues --vhost / name consumers messages | sort -k2 -n | head",),
        )
    streams = [q.label for q in queues.queues if q.kind == "stream" and q.consumers]
    if streams:
        yield _blind(
            "streams",
            f"how far the consumers of {len(streams)} streams are behind is not told: "
            f"{', '.join(sorted(streams)[:5])}",
            "Ask on the broker's machine",
            ("rabbitmq-streams list_stream_consumers --vhost / stream offset offset_lag",),
        )


def _blind(subject: str, summary: str, title: str, commands: tuple[str, ...]) -> Finding:
    return Finding(
        subject=subject,
        summary=summary,
        severity=Severity.INFO,
        fixes=(Fix(title, commands, "shell", "none: looking only", "scan again", "none needed"),),
        kind=Kind.BLIND_SPOT,
    )
