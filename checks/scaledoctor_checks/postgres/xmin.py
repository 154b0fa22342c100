"""What holds back the xmin horizon, so that vacuum cannot remove dead rows."""

from collections.abc import Iterator
from dataclasses import dataclass

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, Window, check
from scaledoctor.sources.postgres import Activity, Server, XminHolders
from scaledoctor.sql import literal
from scaledoctor_checks.postgres._words import duration, who

SOURCE = "pg_stat_activity, pg_prepared_xacts, pg_replication_slots, pg_stat_replication"


@dataclass(frozen=True, slots=True)
class _Held:
    subject: str
    words: str
    xids: int
    seconds: float
    command: str
    undo: str


@check("postgres.xmin-held", step=Step.TIGHTEN)
def xmin_held(
    server: Server,
    window: Window[Activity],
    holders: XminHolders | None,
    /,
    *,
    xids: int = 1_000_000,
    seconds: float = 3600.0,
) -> Iterator[Finding]:
    """An old transaction keeps vacuum from removing dead rows.

    Why: every row version that this transaction might still see stays; tables and indexes grow,
    and each statement on them reads more pages.
    How measured: the oldest of the four kinds of holder (session, prepared transaction, slot,
    standby) by age in transactions and in seconds. Fires at ``xids`` or ``seconds``; ten times
    the one, or a day, is high.
    Fix: end the holder; nothing else helps, and vacuum then catches up by itself.
    When to ignore: a dump or a long report that ends soon.
    References: PostgreSQL manual, "Routine Vacuuming".
    """
    window.last.require_visible(server)
    held = [h for h in _all(window.last, holders) if h.xids >= xids or h.seconds >= seconds]
    for one in sorted(held, key=lambda h: -h.xids)[:3]:
        bad = one.xids >= 10 * xids or one.seconds >= 86400
        yield Finding(
            subject=one.subject,
            summary=f"{one.words} holds the xmin horizon back by {one.xids:,} transactions",
            severity=Severity.HIGH if bad else Severity.MEDIUM,
            evidence=(
                Evidence("xmin held back by", float(one.xids), "transactions", xids, SOURCE),
                Evidence("for", one.seconds, "s", seconds, SOURCE),
            ),
            fixes=(
                Fix(
                    f"End {one.subject}",
                    (one.command,),
                    risk="its uncommitted work, or the standby's place in the log, is lost",
                    verify="SELECT max(age(backend_xmin)) FROM pg_stat_activity;",
                    undo=one.undo,
                ),
            ),
            kind=Kind.RISK,
        )


def _all(activity: Activity, holders: XminHolders | None) -> Iterator[_Held]:
    for session in activity.sessions:
        if session.xid_age is not None:
            age = session.transaction_age or 0.0
            words = f"{who(session)}, in a transaction for {duration(age)},"
            command = f"SELECT pg_terminate_backend({session.pid});"
            yield _Held(session.label, words, session.xid_age, age, command, "run it again")
    for holder in holders.holders if holders else ():
        name = literal(holder.name)
        command, undo = {
            "prepared transaction": (f"ROLLBACK PREPARED {name};", "none"),
            "replication slot": (
                f"SELECT pg_drop_replication_slot({name});",
                "create the slot again and copy the subscriber's data again",
            ),
        }.get(holder.kind, ("-- on the standby: SET hot_standby_feedback = off", "on again"))
        words = f"{holder.kind} {holder.name}"
        yield _Held(words, words, holder.xid_age, holder.seconds or 0.0, command, undo)
