"""Connection slots: how many are taken, by whom, and whether they are used."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from scaledoctor.sdk import (
    Confidence,
    Evidence,
    Finding,
    Fix,
    Reach,
    Severity,
    Step,
    Use,
    Window,
    check,
    resource,
)
from scaledoctor.sources.pgbouncer import PoolerConfig
from scaledoctor.sources.postgres import Activity, Server, Session, Settings
from scaledoctor.sql import identifier, literal
from scaledoctor_checks.pooling._new_ini import pooler_fixes
from scaledoctor_checks.postgres._words import duration

SOURCE = "pg_stat_activity, pg_settings"

FEWEST = 5
"""No pool is advised below this: one window may miss the busy moment, and nothing is saved."""


@resource("postgres.connections", step=Step.POOL, on="postgres")
def connections(
    reach: Reach,
    window: Window[Activity] | None,
    settings: Settings | None,
    /,
    *,
    warn: float = 0.75,
    critical: float = 0.9,
) -> Use | None:
    """Client connections against max_connections less the reserved ones.

    How measured: the most client backends seen in the window, ours included, over the slots that
    an ordinary role can have. A refusal with SQLSTATE 53300 counts as an error and as full.
    Thresholds: peers warn at 80 % of max_connections; reserved slots are not theirs to use, and
    a deployment doubles the sessions for a moment, hence busy from ``warn`` and saturated from
    ``critical`` of what is left.
    """
    if reach.category in ("slots", "limit"):
        return Use(
            used=1.0,
            limit=1.0,
            unit="of the slots",
            warn=warn,
            critical=critical,
            errors=1.0,
            detail=f"refused: {reach.message}",
        )
    if window is None or settings is None:
        return None
    usable = float(settings.max_connections - settings.reserved)
    sessions = window.last.sessions
    blocked = sum(s.blocked for s in sessions) / len(sessions) if sessions else 0.0
    return Use(
        used=min(usable, window.peak(lambda a: len(a.sessions) + a.own)),
        limit=usable,
        unit="connections",
        warn=warn,
        critical=critical,
        waits_for={"postgres.locks": blocked},
    )


@dataclass(frozen=True, slots=True)
class _Holder:
    """One application's sessions: all of them, the idle ones, those unused for the window."""

    label: str
    user: str
    sessions: tuple[Session, ...]
    unused: int
    peak_busy: int
    grown: int

    def share(self, test: str) -> float:
        return sum(bool(getattr(s, test)) for s in self.sessions) / len(self.sessions)

    @property
    def idle(self) -> int:
        return sum(s.state == "idle" for s in self.sessions)

    @property
    def needed(self) -> int:
        """Its peak of busy sessions, a quarter above, and one for the pool; at least FEWEST."""
        return max(FEWEST, ceil(self.peak_busy * 1.25) + 1)


def _largest(window: Window[Activity]) -> _Holder | None:
    groups: dict[tuple[str, str], list[Session]] = {}
    for session in window.last.sessions:
        groups.setdefault((session.label, session.user), []).append(session)
    if not groups:
        return None
    (label, user), members = max(groups.items(), key=lambda item: (len(item[1]), item[0]))

    def mine(activity: Activity) -> list[Session]:
        return [s for s in activity.sessions if (s.label, s.user) == (label, user)]

    used = {s.pid for a in window for s in mine(a) if s.state != "idle"}
    quiet = max(window.seconds, 1.0)
    return _Holder(
        label=label,
        user=user,
        sessions=tuple(members),
        unused=sum(s.pid not in used and (s.state_age or 0) >= quiet for s in members),
        peak_busy=int(window.peak(lambda a: sum(s.state != "idle" for s in mine(a)))),
        grown=len(members) - len(mine(window.first)),
    )


@check("postgres.connection-hog", step=Step.POOL)
def connection_hog(
    server: Server,
    window: Window[Activity],
    settings: Settings,
    pooler: PoolerConfig | None = None,
    /,
    *,
    utilization: float = 0.75,
    share: float = 0.5,
    leak: float = 0.7,
) -> Iterator[Finding]:
    """One application holds most of the connection slots.

    Why: when the slots are gone, every other client is refused with SQLSTATE 53300, however
    little the server has to do.
    How measured: sessions by application_name and user, their state in every sample. Fires from
    ``utilization`` of the usable slots when one application has ``share`` of the sessions. It is
    called a leak when ``leak`` of its sessions ran nothing in the whole window.
    Fix: free the unused ones, limit the role, and give connections back to a pool of the right
    size: the most sessions seen busy at once, a quarter above, plus one, and never below five. For
    several instances without a pooler in between: PgBouncer, with its whole configuration.
    When to ignore: a load test that means to fill the server.
    References: PostgreSQL manual, "Connections and Authentication"; ALTER ROLE.
    """
    window.last.require_visible(server)
    usable = settings.max_connections - settings.reserved
    # Superusers and the reserved roles, perhaps we ourselves, may sit above the usable slots.
    taken = min(usable, int(window.peak(lambda a: len(a.sessions) + a.own)))
    holder = _largest(window)
    if holder is None or taken < utilization * usable:
        return
    held = len(holder.sessions) / max(1, len(window.last.sessions))
    if held < share:
        return
    leaking = holder.unused >= leak * len(holder.sessions)
    full = taken / usable
    several = len({s.client for s in holder.sessions}) > 1
    spread = several and pooler is None and not server.pooled
    yield Finding(
        subject=holder.label,
        summary=_summary(holder, leaking, taken, usable, window.seconds),
        severity=Severity.CRITICAL if full >= 0.95 else Severity.HIGH,
        confidence=Confidence.HIGH if leaking or holder.idle == 0 else Confidence.MEDIUM,
        evidence=(
            Evidence("slots taken", float(taken), f"of {usable}", utilization * usable, SOURCE),
            Evidence("sessions of this application", float(len(holder.sessions)), "sessions",
                     source=SOURCE),
            Evidence("of them idle", float(holder.idle), "sessions", source=SOURCE),
            Evidence("of them unused in the window", float(holder.unused), "sessions",
                     source=SOURCE),
            Evidence("most busy at once", float(holder.peak_busy), "sessions", source=SOURCE),
            Evidence("opened in the window", float(holder.grown), "sessions", source=SOURCE),
        ),
        fixes=(
            *_fixes(holder, leaking),
            *(pooler_fixes(server, settings, window) if spread and not leaking else ()),
        ),
        explains={"postgres.connections": held},
        waits_for={"postgres.locks": holder.share("blocked")},
        # Beyond the limit nobody else gets in; below it the nearness stands in for the effect.
        impact=min(1.0, max(0.0, (full - 0.5) * 2)) * held,
    )  # fmt: skip


def _summary(holder: _Holder, leaking: bool, taken: int, usable: int, seconds: float) -> str:
    count = len(holder.sessions)
    head = f"{holder.label} (user {holder.user}) holds {count} of the {taken} connections"
    full = f"{taken} of {usable} slots are taken"
    if leaking:
        return f"{head} and leaks them: {holder.unused} ran nothing for {duration(seconds)}; {full}"
    return f"{head}, at most {holder.peak_busy} busy at once; {full}"


def _fixes(holder: _Holder, leaking: bool) -> Iterator[Fix]:
    role, name = identifier(holder.user), literal(holder.label)
    if holder.idle:
        oldest = "state = 'idle' AND state_change < now() - interval '1 second'"
        yield Fix(
            f"Free the idle connections of {holder.label}, and keep it from taking them again",
            (
                f"ALTER ROLE {role} CONNECTION LIMIT {holder.needed};",
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                f"WHERE application_name = {name} AND {oldest};",
            ),
            risk=f"{holder.label} sees lost connections and, above the limit, refusals; the limit "
            f"counts for everything that logs in as {role}",
            verify="SELECT application_name, state, count(*) FROM pg_stat_activity "
            "GROUP BY 1, 2 ORDER BY 3 DESC;",
            undo=f"ALTER ROLE {role} CONNECTION LIMIT -1;",
        )
    yield Fix(
        f"Give {holder.label} a pool of {holder.needed} connections per server",
        (
            f"# most sessions busy at once: {holder.peak_busy}",
            f"# x 1.25 + 1, at least {FEWEST}: {holder.needed}, shared among all its instances",
            f"max_pool_size = {holder.needed}",
            "# and close or return every connection in a finally block"
            if leaking
            else "# measured over one window: look again at the busiest hour",
        ),
        language="ini",
        risk="requests wait for a connection when the pool is smaller than the peak",
        verify="scaledoctor scan again at peak: busy sessions stay below the pool size",
        undo="the old pool size",
    )
