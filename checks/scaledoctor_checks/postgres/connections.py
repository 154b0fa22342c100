"""Connection slots: how many are taken, by whom, and whether they are used."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from scaledoctor.redact import MASK
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
from scaledoctor.sources.pgbouncer import PoolerConfig
from scaledoctor.sources.postgres import Activity, Server, Session, Settings
from scaledoctor.sql import identifier, literal
from scaledoctor_checks.pooling._free_now import free_now
from scaledoctor_checks.pooling._new_ini import pooler_fixes
from scaledoctor_checks.postgres._words import duration

SOURCE = "pg_stat_activity, pg_settings"

FEWEST = 5
"""No pool is advised below this: one window may miss the busy moment, and nothing is saved."""

GONE = 0.95
"""Share of the slots from which a leak is about to take the last one: our own choice."""


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
    ``critical`` of what is left. A steady pool that leaves a slot free is busy and no more:
    saturated means that all are taken, that the number grows, or that most wait for a lock.
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
    used = min(usable, window.peak(lambda a: len(a.sessions) + a.own))
    grown = len(sessions) - len(window.first.sessions)
    return Use(
        used=used,
        limit=usable,
        unit="connections",
        warn=warn,
        critical=critical,
        contended=used >= usable or _grows(grown, len(sessions)) or blocked >= 0.5,
        waits_for={"postgres.locks": blocked},
        history=window.history(lambda a: len(a.sessions) + a.own),
    )


@dataclass(frozen=True, slots=True)
class _Holder:
    """One application's sessions: all of them, the idle ones, those unused for the window.

    ``peak_busy`` are the most that ran, waited, or were in a transaction that goes on.
    ``beside`` counts the sessions of other applications of the same role.
    """

    application: str
    user: str
    sessions: tuple[Session, ...]
    unused: int
    peak_busy: int
    grown: int
    beside: int
    quiet: float

    @property
    def label(self) -> str:
        return self.sessions[0].label

    def share(self, test: str) -> float:
        return sum(bool(getattr(s, test)) for s in self.sessions) / len(self.sessions)

    @property
    def idle(self) -> int:
        return sum(s.state == "idle" for s in self.sessions)

    @property
    def needed(self) -> int:
        """Its peak of busy sessions, a quarter above, and one for the pool; at least FEWEST."""
        return max(FEWEST, ceil(self.peak_busy * 1.25) + 1)

    @property
    def growing(self) -> bool:
        """More sessions than when the window began, see :func:`_grows`."""
        return _grows(self.grown, len(self.sessions))


def _grows(grown: int, sessions: int) -> bool:
    """A tenth more in one window, and at least three: a pool that breathes does less."""
    return grown >= max(3, sessions / 10)


def _largest(window: Window[Activity]) -> _Holder | None:
    groups: dict[tuple[str, str], list[Session]] = {}
    for session in window.last.sessions:
        groups.setdefault((session.application, session.user), []).append(session)
    if not groups:
        return None
    (application, user), members = max(groups.items(), key=lambda item: (len(item[1]), item[0]))

    def mine(activity: Activity) -> list[Session]:
        return [s for s in activity.sessions if (s.application, s.user) == (application, user)]

    quiet = max(window.seconds, 1.0)
    used = {s.pid for a in window for s in mine(a) if s.active or s.blocked}
    return _Holder(
        application=application,
        user=user,
        sessions=tuple(members),
        unused=sum(s.pid not in used and (s.state_age or 0) >= quiet for s in members),
        peak_busy=int(window.peak(lambda a: sum(_works(s, quiet) for s in mine(a)))),
        grown=len(members) - len(mine(window.first)),
        beside=sum(s.user == user for s in window.last.sessions) - len(members),
        quiet=quiet,
    )


def _works(session: Session, quiet: float) -> bool:
    """Needs its connection: it runs, waits for a lock, or goes on with a transaction."""
    goes_on = session.idle_in_transaction and (session.state_age or 0) < quiet
    return session.active or session.blocked or goes_on


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
    called a leak when ``leak`` of its sessions ran nothing in the whole window, a transaction
    left open included. While slots are free (a leak: 5 % of them), the number does not grow and
    most do not wait for a lock, it is a risk: it costs nobody anything now, and nobody is ended.
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
    stuck = holder.share("blocked")
    gone = taken >= usable or (leaking and full >= GONE)
    live = gone or holder.growing or stuck >= 0.5
    several = len({s.client for s in holder.sessions}) > 1
    spread = several and pooler is None and not server.pooled
    yield Finding(
        subject=holder.label,
        summary=_summary(holder, leaking, taken, usable, window.seconds),
        severity=_severity(full) if live else Severity.MEDIUM,
        kind=Kind.LIVE if live else Kind.RISK,
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
            *(_free(holder) if leaking and live else ()),
            *(free_now(window) if gone and not leaking and stuck < 0.5 else ()),
            _pool(holder, leaking, usable),
            *(pooler_fixes(server, settings, window) if spread and not leaking else ()),
        ),
        explains={"postgres.connections": held},
        waits_for={"postgres.locks": stuck},
        # Beyond the limit nobody else gets in; below it the nearness stands in for the effect.
        impact=min(1.0, max(0.0, (full - 0.5) * 2)) * held,
    )  # fmt: skip


def _severity(full: float) -> Severity:
    return Severity.CRITICAL if full >= GONE else Severity.HIGH


def _summary(holder: _Holder, leaking: bool, taken: int, usable: int, seconds: float) -> str:
    count = len(holder.sessions)
    head = f"{holder.label} (user {holder.user}) holds {count} of the {taken} connections"
    full = f"{taken} of {usable} slots are taken"
    if leaking:
        return f"{head} and leaks them: {holder.unused} ran nothing for {duration(seconds)}; {full}"
    return f"{head}, at most {holder.peak_busy} busy at once; {full}"


def _free(holder: _Holder) -> Iterator[Fix]:
    """End what is not used and keep it from coming back; the limit is the whole role's."""
    role = identifier(holder.user)
    mine = [f"usename = {literal(holder.user)}"]
    if MASK not in holder.application:
        mine.append(f"application_name = {literal(holder.application)}")
    unused = "state IN ('idle', 'idle in transaction')"
    age = f"state_change < now() - interval '{holder.quiet:.0f} seconds'"
    yield Fix(
        f"Free the unused connections of {holder.label}, and keep it from taking them again",
        (
            f"ALTER ROLE {role} CONNECTION LIMIT {holder.needed + holder.beside};",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE {' AND '.join(mine)} AND {unused} AND {age};",
        ),
        risk=f"{holder.label} sees lost connections and, above the limit, refusals; the limit "
        f"counts for everything that logs in as {role}",
        verify="SELECT application_name, state, count(*) FROM pg_stat_activity "
        "GROUP BY 1, 2 ORDER BY 3 DESC;",
        undo=f"ALTER ROLE {role} CONNECTION LIMIT -1;",
    )


def _pool(holder: _Holder, leaking: bool, usable: int) -> Fix:
    size = min(holder.needed, usable)
    return Fix(
        f"Give {holder.label} a pool of {size} connections per server",
        (
            f"# most sessions busy at once: {holder.peak_busy}",
            f"# x 1.25 + 1, at least {FEWEST}, at most the {usable} slots: {size}, shared among "
            "all its instances",
            f"max_pool_size = {size}",
            "# and close or return every connection in a finally block"
            if leaking
            else "# two looks a second miss short statements: look again at the busiest hour",
        ),
        language="ini",
        risk="requests wait for a connection when the pool is smaller than the peak",
        verify="scaledoctor scan again at peak: busy sessions stay below the pool size",
        undo="the old pool size",
    )
