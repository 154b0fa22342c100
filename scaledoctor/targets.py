"""What to look at: targets from the command line and from the environment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from scaledoctor.errors import ScaledoctorError


@dataclass(frozen=True, slots=True)
class Target:
    """One system to look at.

    ``name`` is its stable role ("postgres:shop", "host"), part of fingerprints; ``address`` is
    for people and never holds a secret; ``dsn`` may hold one and is never stored or printed;
    ``local_port`` is set when the address is one of this machine.
    """

    kind: str
    name: str
    address: str
    dsn: str = field(default="", repr=False)
    named: bool = True
    local_port: int | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether a target let us in: a core fact that every target has.

    ``seconds`` is the time to a usable session. When ``ok`` is False, ``category`` is one word
    ("slots", "auth", "dns", "tls", "timeout", "refused", ...) and ``code`` the system's own.
    ``local_port`` is the target's port when it is on this machine.
    """

    ok: bool
    seconds: float
    category: str = ""
    code: str = ""
    message: str = ""
    enable: str = ""
    local_port: int | None = None


HOST = Target(kind="host", name="host", address="this machine", named=False)


def postgres_target(dsn: str, *, named: bool = True) -> Target:
    """Build a PostgreSQL target from a URL or a keyword/value string.

    SQLAlchemy's ``postgresql+driver://`` is understood.

    Raises:
        ScaledoctorError: the DSN cannot be read; the message never repeats the DSN.

    """
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    scheme, separator, rest = dsn.partition("://")
    if separator and scheme.partition("+")[0] in ("postgres", "postgresql"):
        dsn = f"postgresql://{rest}"
    elif separator:
        raise ScaledoctorError(
            f"--dsn: {scheme!r} is not a PostgreSQL URL",
            "use postgresql://user@host:5432/database or 'host=... dbname=...'",
        )
    try:
        parts = conninfo_to_dict(dsn)
    except ProgrammingError:
        raise ScaledoctorError(
            "--dsn: this is neither a PostgreSQL URL nor a keyword/value string",
            "use postgresql://user@host:5432/database or 'host=... dbname=...'",
        ) from None
    database = str(parts.get("dbname") or parts.get("user") or "postgres")
    host = str(parts.get("host") or parts.get("hostaddr") or "local socket")
    port = str(parts.get("port") or "5432")
    address = f"{host}:{port}/{database}"
    return Target("postgres", f"postgres:{database}", address, dsn, named, _local_port(host, port))


def targets(dsns: Sequence[str], environment: Mapping[str, str]) -> tuple[Target, ...]:
    """Return this host and the databases named by ``--dsn`` or, without one, the environment.

    DATABASE_URL comes first; PGHOST, PGDATABASE, PGSERVICE or PGUSER make libpq's own
    environment a target.
    """
    found = [postgres_target(dsn) for dsn in dsns]
    if not dsns:
        url = environment.get("DATABASE_URL", "")
        if url.partition("://")[0].partition("+")[0] in ("postgres", "postgresql"):
            found.append(postgres_target(url))
        elif any(environment.get(v) for v in ("PGHOST", "PGDATABASE", "PGSERVICE", "PGUSER")):
            found.append(_libpq(environment))
    return (HOST, *_distinct(found))


def _libpq(environment: Mapping[str, str]) -> Target:
    database = environment.get("PGDATABASE") or environment.get("PGUSER") or "postgres"
    host = environment.get("PGHOST") or "local socket"
    port = environment.get("PGPORT") or "5432"
    address = f"{host}:{port}/{database}"
    return Target("postgres", f"postgres:{database}", address, local_port=_local_port(host, port))


def _local_port(host: str, port: str) -> int | None:
    here = host in ("local socket", "localhost", "::1") or host.startswith(("/", "@", "127."))
    return int(port) if here and port.isdigit() else None


def _distinct(found: Sequence[Target]) -> list[Target]:
    seen: dict[str, int] = {}
    result: list[Target] = []
    for target in found:
        seen[target.name] = seen.get(target.name, 0) + 1
        n = seen[target.name]
        result.append(target if n == 1 else replace(target, name=f"{target.name}#{n}"))
    return result
