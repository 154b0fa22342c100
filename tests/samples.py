"""Reports to draw in tests: a bottleneck, a healthy system, a partial view, a hostile one."""

from dataclasses import replace
from datetime import UTC, datetime

from scaledoctor.model import (
    Band,
    Chart,
    Confidence,
    Evidence,
    Finding,
    Fix,
    Kind,
    Severity,
    State,
    Step,
)
from scaledoctor.report import (
    SCHEMA_VERSION,
    Diagnosis,
    Headroom,
    Hop,
    Moment,
    Report,
    Status,
    Verdict,
    Visited,
)
from scaledoctor.snapshot import Failure, Skip

SHOP = "postgres:shop"

HOSTILE = (
    "<script>alert(1)</script>|\n\x1b[31mred\x9b32m `tick` ``two`` [link](http://evil.example) "
    "www.evil.example @team #12 [bold]markup[/bold] \u202edesrever\u200b\ufeff\u2028 "
    "<http://auto.example> ![i](x) <!-- c --> &lt; ***x*** __y__ ~~z~~ \\| \udc80 " + "A" * 10_000
)


PLAN = """24,811 cost units, not run: an estimate

    own cost                  rows         node
         0.1                      6          Sort
                                              Sort Key: order_items.sku
    24,810.9 ████████            6            └ Seq Scan on public.order_items
                                                Filter: (order_items.order_id = $1)"""


def holder() -> Finding:
    """The root: an application that sits in an open transaction."""
    return Finding(
        subject="application shop-worker, transaction on public.orders",
        summary="17 of 19 sessions wait behind shop-worker, idle in a transaction for 94 s with "
        "a lock on public.orders",
        severity=Severity.CRITICAL,
        evidence=(
            Evidence("idle in transaction", 94.2, "s", 30.0, "pg_stat_activity.state_change"),
            Evidence("sessions that wait behind it", 17.0, "sessions", 1, "pg_blocking_pids()"),
            Evidence("share of session time", 0.894, "share", 0.25, "pg_stat_activity, 40 samples"),
            Evidence("last statement", "UPDATE public.orders SET state = $1 WHERE id = $2"),
        ),
        fixes=(
            Fix(
                "End the transaction that blocks the others",
                (
                    "SELECT pg_terminate_backend(pid)\n  FROM pg_stat_activity\n WHERE "
                    "application_name = 'shop-worker' AND state = 'idle in transaction' "
                    "AND now() - state_change > interval '30 s';",
                ),
                risk="its uncommitted work is rolled back",
                verify="SELECT count(*) FROM pg_locks WHERE NOT granted;",
                undo="none needed: the application connects again",
            ),
            Fix(
                "Let the server end such transactions",
                ("ALTER ROLE shop SET idle_in_transaction_session_timeout = '30s';",),
                risk="a slow batch job of this role may lose its session",
                verify="SHOW idle_in_transaction_session_timeout; in a new session",
                undo="ALTER ROLE shop RESET idle_in_transaction_session_timeout;",
            ),
        ),
        explains={"postgres.locks": 0.94},
        impact=0.89,
        check="postgres.idle-in-transaction",
        step=Step.POOL,
        title="A session holds a transaction open while doing nothing",
        target=SHOP,
    )


def queue() -> Finding:
    """A symptom of :func:`holder`."""
    return Finding(
        subject="public.orders",
        summary="17.0 sessions on average wait for a lock on public.orders",
        severity=Severity.HIGH,
        explains={"postgres.connections": 0.89},
        waits_for={"postgres.locks": 1.0},
        impact=0.8,
        check="postgres.lock-queue",
        step=Step.TIGHTEN,
        title="Sessions queue for one lock",
        target=SHOP,
    )


def scan_heavy() -> Finding:
    """A second, smaller root."""
    return Finding(
        subject="public.order_items(order_id)",
        summary="31% of statement time goes to SELECT * FROM order_items WHERE order_id = $1 "
        "(48 ms a call): no index on public.order_items (order_id)",
        severity=Severity.MEDIUM,
        confidence=Confidence.MEDIUM,
        evidence=(
            Evidence("share of statement time", 0.31, "share", 0.25, "pg_stat_statements"),
            Evidence("blocks per call", 5210.0, "blocks of 8 kB", source="pg_stat_statements"),
        ),
        fixes=(
            Fix(
                "Index public.order_items on order_id",
                (
                    "CREATE INDEX CONCURRENTLY order_items_order_id_idx "
                    "ON public.order_items (order_id);",
                ),
                risk="reads the whole table once; does not block writes",
                verify="scan again: blocks per call fall",
                undo="DROP INDEX CONCURRENTLY public.order_items_order_id_idx;",
            ),
        ),
        impact=0.07,
        plan=PLAN,
        check="postgres.statement-share",
        step=Step.TIGHTEN,
        title="One statement takes most of the database's time",
        target=SHOP,
    )


def wraparound() -> Finding:
    """A latent risk with a fix."""
    return Finding(
        subject="public.events",
        summary="public.events is at 71% of autovacuum_freeze_max_age",
        severity=Severity.MEDIUM,
        fixes=(Fix("Freeze it", ("VACUUM (FREEZE) public.events;",), risk="reads it whole"),),
        kind=Kind.RISK,
        check="postgres.wraparound",
        step=Step.TIGHTEN,
        title="A table comes near transaction id wraparound",
        target=SHOP,
    )


def blind() -> Finding:
    """Something that the server does not measure."""
    return Finding(
        subject="track_io_timing",
        summary="track_io_timing is off: time spent reading cannot be told from time computing",
        severity=Severity.INFO,
        fixes=(Fix("Turn it on", ("ALTER SYSTEM SET track_io_timing = on;",)),),
        kind=Kind.BLIND_SPOT,
        check="postgres.blind-spots",
        title="The server does not record what a diagnosis needs",
        target=SHOP,
    )


def minor(subject: str) -> Finding:
    """A live finding that is only counted by default."""
    return Finding(
        subject=subject,
        summary=f"{subject} has 4 unused indexes",
        severity=Severity.LOW,
        check="postgres.unused-indexes",
        title="Indexes that nothing reads",
        target=SHOP,
    )


def row(
    resource: str, used: float, limit: float | None, unit: str, state: State, **more: float
) -> Headroom:
    """A line of the headroom table."""
    share = used / limit if limit else None
    return Headroom(
        resource=resource,
        target="host" if resource.startswith("host.") else SHOP,
        title=resource,
        used=used,
        limit=limit,
        unit=unit,
        utilization=share,
        waiting=more.get("waiting", 0.0),
        errors=more.get("errors", 0.0),
        state=state,
        multiple=1 / share if share and resource != "postgres.locks" else None,
        warn=0.75,
        critical=0.9,
        detail="",
        step=Step.POOL,
    )


def visited(name: str = SHOP, *, ok: bool = True, message: str = "") -> Visited:
    """A target of the scan."""
    kind = name.partition(":")[0]
    address = "localhost" if kind == "host" else "db-1:5432/shop"
    return Visited(
        name, kind, address, kind != "host", ok, message, 212 if ok else 0, 0.413 if ok else 0.0
    )


def healthy() -> Report:
    """Nothing is wrong; connections fill up first."""
    return Report(
        schema_version=SCHEMA_VERSION,
        tool="scaledoctor",
        version="0.1.0",
        run="20260504T140211Z",
        started=datetime(2026, 5, 4, 14, 2, 11, tzinfo=UTC),
        window=10.0,
        seconds=10.6,
        targets=(visited(), visited("host")),
        verdict=Verdict(
            Status.HEALTHY,
            "no bottleneck; postgres.connections fills up first, at 2.6 times this traffic "
            "(now 38%)",
            Confidence.HIGH,
        ),
        diagnoses=(),
        minor=(),
        risks=(),
        blind_spots=(),
        headroom=(
            row("postgres.connections", 37.0, 97.0, "connections", State.OK),
            row("host.cpu", 0.92, 4.0, "cores", State.OK),
            row("host.memory", 2.1, 16.0, "GB", State.OK),
            row("postgres.locks", 0.0, 3.1, "busy sessions", State.OK),
        ),
        ruled_out=(
            "postgres.connections 38% of 97 connections",
            "host.cpu 23% of 4 cores",
            "Deadlocks end transactions (postgres.deadlocks)",
        ),
        skipped=(),
        errored=(),
        redactions={"sql literals": 12},
        timeline=(
            Moment(datetime(2026, 5, 4, 13, 58, tzinfo=UTC), "deploy 1.8"),
            Moment(datetime(2026, 5, 4, 14, 2, 11, tzinfo=UTC), "scaledoctor began to look"),
        ),
    )


def bottleneck() -> Report:
    """A root cause with a chain and a symptom, a second root, a risk, a blind spot, minors."""
    root, second = holder(), scan_heavy()
    chain = (
        Hop("resource", "postgres.connections",
            "postgres.connections: 19 of 20 connections", SHOP),
        Hop("resource", "postgres.locks",
            "postgres.locks: 17 of 19 busy sessions", SHOP, 0.894),
        Hop("finding", root.fingerprint, root.summary, SHOP, 0.94),
    )  # fmt: skip
    return replace(
        healthy(),
        verdict=Verdict(Status.BOTTLENECK, root.summary, Confidence.HIGH, root.fingerprint),
        diagnoses=(
            Diagnosis(root, root.fingerprint, 0.89, chain, (queue(),)),
            Diagnosis(second, second.fingerprint, 0.049),
        ),
        minor=(minor("public.orders"), minor("public.events"), minor("public.users")),
        risks=(wraparound(),),
        blind_spots=(blind(),),
        headroom=(
            replace(
                row(
                    "postgres.connections", 19.0, 20.0, "connections", State.SATURATED, waiting=3.2
                ),
                history=(8.0, 9.0, 9.0, 12.0, 15.0, *(19.0,) * 16),
                queued=(*(0.0,) * 5, *map(float, range(1, 17))),
            ),
            row("postgres.locks", 17.0, 19.0, "busy sessions", State.SATURATED, waiting=17.0),
            replace(
                row("host.cpu", 3.1, 4.0, "cores", State.BUSY, waiting=0.4),
                history=(3.0, 3.4, 3.9, 3.2, 2.7) * 4,
            ),
            row("host.memory", 2.1, 16.0, "GB", State.OK),
            row("host.disk", 40.0, None, "MB/s", State.UNKNOWN),
        ),
        ruled_out=(
            "host.memory 13% of 16 GB",
            "Deadlocks end transactions (postgres.deadlocks)",
            "Connections are opened and closed all the time (postgres.connection-churn)",
        ),
        charts=(sessions(),),
    )


def sessions() -> Chart:
    """Locks that grow while the rest goes on."""
    bands = (
        Band("running", (1.0, 2.0, 1.0, 1.0, 2.0) * 4),
        Band("Lock", (*(0.0,) * 4, *map(float, range(1, 17)))),
        Band("IO", (2.0, 1.0, 0.0, 0.0, 0.0) * 4),
        Band("idle in transaction", (1.0,) * 20),
    )
    return Chart("What sessions did", "sessions", 10.0, bands, "idle ones left out", SHOP)


def partial() -> Report:
    """One shot with a refused target, checks that could not look, and one that crashed."""
    no_statements = "pg_stat_statements is not installed"
    enable = "CREATE EXTENSION pg_stat_statements;"
    reason = "permission denied for view pg_stat_activity"
    return replace(
        healthy(),
        window=0.0,
        seconds=0.4,
        targets=(visited(), visited("redis:cache", ok=False, message="connection refused")),
        verdict=Verdict(
            Status.UNKNOWN, "no verdict: redis:cache: connection refused", Confidence.LOW
        ),
        headroom=(row("host.memory", 2.1, 16.0, "GB", State.OK),),
        ruled_out=(),
        skipped=(
            Skip("postgres.statement-share", no_statements, enable, SHOP),
            Skip("postgres.n-plus-one", no_statements, enable, SHOP),
            Skip("postgres.idle-in-transaction", reason, "GRANT pg_monitor TO shop;", SHOP),
        ),
        errored=(
            Failure(
                "acme.queue-depth",
                "ZeroDivisionError: division by zero",
                'Traceback (most recent call last):\n  File "acme.py", line 3, in depth\n'
                "ZeroDivisionError: division by zero\n",
                SHOP,
            ),
        ),
        redactions={},
    )


def hostile(text: str = HOSTILE) -> Report:
    """The bottleneck with the same hostile text wherever text comes from outside.

    Subjects hold it without lone surrogates, from which no fingerprint can be made.
    """
    found = replace(
        holder(),
        subject=text.encode(errors="backslashreplace").decode(),
        summary=text,
        title=text,
        evidence=(Evidence(text, text, text, text, text), Evidence(text, float("nan"), text)),
        fixes=(Fix(text, (text,), text, text, text, text),) * 2,
        explains={text: 1.0},
        plan=text,
    )
    hop = Hop("resource", text, text, text, 0.5)
    hostile_row = replace(
        row("postgres.pool", 1.0, 2.0, text, State.OK), resource=text, target=text, detail=text,
        history=(1.0,) * 9, queued=(1.0,) * 9,
    )  # fmt: skip
    return replace(
        bottleneck(),
        verdict=Verdict(Status.BOTTLENECK, text, Confidence.HIGH, found.fingerprint),
        targets=(Visited(text, text, text, True, False, text, 0, 0.0), visited()),
        diagnoses=(Diagnosis(found, found.fingerprint, 1.0, (hop, hop, hop), (found, found)),),
        minor=(found,),
        risks=(found,),
        blind_spots=(found,),
        headroom=(hostile_row, replace(hostile_row, detail="")),
        ruled_out=(text, text),
        skipped=(Skip(text, text, text, text),),
        errored=(Failure(text, text, text, text),),
        redactions={text: 1},
        timeline=(Moment(datetime(2026, 5, 4, tzinfo=UTC), text),),
        charts=(
            Chart(text, text, 1.0, (Band(text, (1.0, 2.0)), Band(text, (0.0, 1.0))), text, text),
        ),
    )
