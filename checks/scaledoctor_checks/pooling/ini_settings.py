"""Settings of pgbouncer.ini that will bite, with their file and line."""

from collections.abc import Iterator

from scaledoctor.sdk import Finding, Severity, Step, check
from scaledoctor.sources.pgbouncer_ini import PoolerIni
from scaledoctor_checks.pooling._ini import risk

LOOPBACK = ("", "127.0.0.1", "::1", "localhost")


@check("pgbouncer.ini-auth-type", step=Step.POOL)
def ini_auth_type(ini: PoolerIni, /) -> Iterator[Finding]:
    """pgbouncer.ini lets clients in with a weak proof of who they are, or none.

    Why: any and trust ask for no password, plain stores it as it is, and PostgreSQL has replaced
    md5 by scram-sha-256, which cannot be told from a stolen hash.
    How measured: auth_type, md5 when it is not set. any and trust count more on an address that
    other machines reach.
    Fix: scram-sha-256.
    When to ignore: auth_type = trust on a unix socket or loopback of a machine with one user.
    References: PgBouncer manual, auth_type; PostgreSQL manual, "Password Authentication".
    """
    line = ini.setting("auth_type")
    kind = line.value if line else "md5"
    if kind not in ("any", "trust", "plain", "md5"):
        return
    listen = ini.setting("listen_addr")
    near = all(one.strip() in LOOPBACK for one in (listen.value if listen else "").split(","))
    open_to_all = kind in ("any", "trust")
    said = {
        "any": "any asks nobody for a password and logs all in as one user",
        "trust": "trust asks nobody for a password",
        "plain": "plain sends and stores passwords as they are",
        "md5": "md5 hashes can be used like the password itself",
    }
    far = open_to_all and not near
    yield risk(
        ini,
        "auth_type",
        f"auth_type = {kind}: {said[kind]}" + (", from every machine" if far else ""),
        Severity.MEDIUM if far else Severity.INFO if kind == "md5" else Severity.LOW,
        "scram-sha-256",
        value=kind,
        limit="scram-sha-256",
        first=(
            "; first: SCRAM secrets in the auth_file (SELECT rolname, rolpassword FROM pg_authid)",
        ),
        why_not="users whose secret in the auth_file is an md5 hash cannot log in any more",
    )


@check("pgbouncer.ini-session-mode", step=Step.POOL)
def ini_session_mode(ini: PoolerIni, /) -> Iterator[Finding]:
    """pgbouncer.ini gives each client a server of its own: session mode.

    Why: then as many clients as servers work, however little each does; the others wait.
    How measured: pool_mode is session, or not set, which is the same.
    Fix: transaction mode, after a look at what needs a session.
    When to ignore: clients that use LISTEN, session advisory locks, temporary tables or SET.
    References: PgBouncer, "Features": what breaks in transaction pooling.
    """
    line = ini.setting("pool_mode")
    if line and line.value != "session":
        return
    yield risk(
        ini,
        "pool_mode",
        "pool_mode is session" + ("" if line else ", the default") + ": a client keeps its server "
        "until it disconnects",
        Severity.LOW,
        "transaction",
        value=line.value if line else "session (default)",
        limit="transaction",
        first=(
            "; first look for LISTEN, session advisory locks, SET without LOCAL, temporary tables",
            "; and, before 1.21 or with max_prepared_statements = 0, prepared statements",
        ),
        why_not="what a client keeps in its session is lost between transactions",
    )


@check("pgbouncer.ini-startup-parameters", step=Step.POOL)
def ini_startup_parameters(ini: PoolerIni, /) -> Iterator[Finding]:
    """pgbouncer.ini refuses clients that send extra_float_digits at their start.

    Why: JDBC and several Go programs do, the exporter for Prometheus among them; they get
    "unsupported startup parameter".
    How measured: ignore_startup_parameters does not name extra_float_digits, nor does
    track_extra_parameters.
    Fix: ignore it.
    When to ignore: clients that are known not to send it, such as psycopg.
    References: PgBouncer manual, ignore_startup_parameters; pgbouncer_exporter, README.
    """
    names = [ini.setting(n) for n in ("ignore_startup_parameters", "track_extra_parameters")]
    known = [word.strip() for line in names if line for word in line.value.split(",")]
    if "extra_float_digits" in known:
        return
    line = names[0]
    old = line.value if line else ""
    yield risk(
        ini,
        "ignore_startup_parameters",
        "extra_float_digits is not ignored: JDBC and some Go clients are refused",
        Severity.INFO,
        ", ".join(word for word in (old, "extra_float_digits") if word),
        value=old or "empty",
        limit="extra_float_digits",
        why_not="clients get the server's own setting instead of the one that they asked for",
    )


@check("pgbouncer.ini-reset-query", step=Step.POOL)
def ini_reset_query(ini: PoolerIni, /) -> Iterator[Finding]:
    """pgbouncer.ini cleans each server after every transaction.

    Why: server_reset_query is one more round trip for each transaction, and DISCARD ALL throws
    away plans and prepared statements. In transaction mode no client may rely on a session anyway.
    How measured: server_reset_query_always = 1 while pool_mode is transaction or statement.
    Fix: 0, the default: then it runs in session mode only.
    When to ignore: clients that leave settings behind and cannot be changed.
    References: PgBouncer manual, server_reset_query_always.
    """
    line, mode = ini.setting("server_reset_query_always"), ini.setting("pool_mode")
    if not line or line.value != "1" or not mode or mode.value == "session":
        return
    yield risk(
        ini,
        "server_reset_query_always",
        f"server_reset_query_always = 1 in {mode.value} mode: one more round trip for each "
        "transaction",
        Severity.LOW,
        "0",
        value="1",
        limit="0",
        why_not="what a client has SET in its session reaches the next client",
    )


@check("pgbouncer.ini-wait-timeout", step=Step.POOL)
def ini_wait_timeout(ini: PoolerIni, /, *, proxy: int = 60) -> Iterator[Finding]:
    """pgbouncer.ini lets clients wait for a server longer than anybody waits for them.

    Why: when a proxy in front has given up, the transaction still waits its turn and is done for
    nobody; the queue only grows.
    How measured: query_wait_timeout is ``proxy`` seconds or more, 0 (for ever), or not set (120).
    60 s is what nginx (proxy_read_timeout) and most load balancers wait.
    Fix: fail fast, well below the time-out of whoever waits.
    When to ignore: batch jobs that may wait.
    References: PgBouncer manual, query_wait_timeout; nginx, proxy_read_timeout.
    """
    timeout = ini.number("query_wait_timeout", 120)
    if 0 < timeout < proxy:
        return
    words = f"{timeout} s" if timeout else "0, no limit"
    yield risk(
        ini,
        "query_wait_timeout",
        f"query_wait_timeout is {words}: longer than the {proxy} s that a proxy in front waits",
        Severity.LOW,
        "15",
        value=words,
        limit=proxy,
        why_not="clients that wait 15 s for a server get an error",
    )
