"""PostgreSQL and its poolers: URLs and keyword/value strings, and libpq's environment."""

import re
from collections.abc import Mapping
from dataclasses import replace

from scaledoctor.errors import ScaledoctorError
from scaledoctor.targets.address import local_port
from scaledoctor.targets.parameters import unknown, without_unknown
from scaledoctor.targets.target import Target

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def postgres_target(dsn: str, where: str = "--dsn") -> Target:
    """Build a PostgreSQL target from a URL or a keyword/value string.

    SQLAlchemy's ``postgresql+driver://`` is understood; ``where`` it was given stands in errors.

    Raises:
        ScaledoctorError: the DSN cannot be read; the message never repeats the DSN.

    """
    dsn, parts = _parsed(dsn, where, "postgresql://user@host:5432/database")
    database = parts.get("dbname") or parts.get("user") or "postgres"
    host, port = _place(parts, "5432")
    address = f"{host}:{port}/{database}"
    return Target("postgres", f"postgres:{database}", address, dsn, True, local_port(host, port))


def postgres_of_environment(url: str, variable: str) -> Target:
    """Build a target from an application's own URL, less what only its ORM understands.

    Raises:
        ScaledoctorError: as for :func:`postgres_target`.

    """
    rest, note = without_unknown(url)
    return replace(postgres_target(rest, variable), note=f"{variable}: {note}" if note else "")


def pgbouncer_target(dsn: str) -> Target:
    """Build a target for PgBouncer's console; its database is always ``pgbouncer``.

    Raises:
        ScaledoctorError: as for :func:`postgres_target`.

    """
    dsn, parts = _parsed(dsn, "--pgbouncer", "postgresql://stats@host:6432/pgbouncer")
    host, port = _place(parts, "6432")
    address = f"{host}:{port}/pgbouncer"
    return Target("pgbouncer", "pgbouncer", address, dsn, True, local_port(host, port))


def libpq_target(environment: Mapping[str, str]) -> Target:
    """Build a target from PGHOST, PGPORT, PGDATABASE and PGUSER, which libpq reads itself."""
    database = environment.get("PGDATABASE") or environment.get("PGUSER") or "postgres"
    host = environment.get("PGHOST") or "local socket"
    port = environment.get("PGPORT") or "5432"
    address = f"{host}:{port}/{database}"
    return Target("postgres", f"postgres:{database}", address, local_port=local_port(host, port))


def is_postgres(url: str) -> bool:
    """Whether a URL's scheme is PostgreSQL's, a driver's name behind it or not."""
    scheme, separator, _ = url.partition("://")
    return bool(separator) and scheme.partition("+")[0] in ("postgres", "postgresql")


def _parsed(dsn: str, option: str, example: str) -> tuple[str, dict[str, str]]:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    hint = f"use {example} or 'host=... dbname=...'"
    if not dsn.strip():
        raise ScaledoctorError(f"{option}: it is empty", hint)
    scheme, _, rest = dsn.partition("://")
    if is_postgres(dsn):
        if _cut_by_its_password(rest):
            message = f"{option}: user or password holds a sign that cuts the URL"
            raise ScaledoctorError(message, "write @ as %40, / as %2F, or use PGPASSWORD")
        dsn = f"postgresql://{rest}"
    elif _SCHEME.match(dsn):
        raise ScaledoctorError(f"{option}: {scheme!r} is not a PostgreSQL URL", hint)
    try:
        parts = conninfo_to_dict(dsn)
    except ProgrammingError as error:
        if refused := unknown(str(error), dsn):
            raise ScaledoctorError(f"{option}: {refused[0]}", refused[1]) from None
        message = f"{option}: this is neither a PostgreSQL URL nor a keyword/value string"
        raise ScaledoctorError(message, hint) from None
    for port in str(parts.get("port") or "").split(","):
        if port and not port.isdigit():
            raise ScaledoctorError(f"{option}: the port is not a number", hint)
    return dsn, {name: str(value) for name, value in parts.items() if value is not None}


def _cut_by_its_password(rest: str) -> bool:
    """Whether what libpq takes for the host is a part of the password: it would be printed."""
    authority, _, path = rest.partition("?")[0].partition("/")
    return authority.count("@") > 1 or ("@" in path and "@" not in authority)


def _place(parts: Mapping[str, str], port: str) -> tuple[str, str]:
    host = parts.get("host") or parts.get("hostaddr") or "local socket"
    return host, parts.get("port") or port
