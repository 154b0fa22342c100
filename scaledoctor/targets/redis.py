"""Redis and its kin: URLs as redis-py, Celery and Sidekiq write them."""

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from scaledoctor.errors import ScaledoctorError
from scaledoctor.targets.address import local_port
from scaledoctor.targets.target import Target

SCHEMES: Mapping[str, str] = {
    "redis": "redis",
    "rediss": "rediss",
    "valkey": "redis",
    "valkeys": "rediss",
    "unix": "unix",
    "redis+socket": "unix",  # Celery's word for it
    "redis+sentinel": "redis+sentinel",
}
"""What each scheme means."""

PORTS: Mapping[str, int] = {"redis": 6379, "rediss": 6379, "redis+sentinel": 26379}

HINT = (
    "use redis://user:password@host:6379/0, rediss:// for TLS, unix:/path/to/socket, "
    "or redis+sentinel://host:26379/NAME"
)


def is_redis(url: str) -> bool:
    """Whether a URL's scheme is one of Redis's."""
    return url.partition(":")[0].lower() in SCHEMES


def redis_target(url: str, option: str = "--redis") -> Target:
    """Build a target from a URL; without a number of a database all of them are looked at.

    A Sentinel's URL names the master: ``redis+sentinel://host:26379/NAME/0``. Any node of a
    cluster stands for the whole.

    Raises:
        ScaledoctorError: the URL cannot be read; the message never repeats it.

    """
    scheme = SCHEMES.get(url.partition(":")[0].lower())
    if scheme is None:
        raise ScaledoctorError(f"{option}: this is not a Redis URL", HINT)
    rest = url.partition(":")[2]
    if _cut_by_its_password(rest):
        message = f"{option}: user or password holds a sign that cuts the URL"
        raise ScaledoctorError(message, "write @ as %40, / as %2F, : as %3A, # as %23, ? as %3F")
    try:
        parts = urlsplit(f"{scheme}:{rest}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ScaledoctorError(f"{option}: this URL cannot be read", HINT) from None
    if scheme == "unix":
        return _socket(parts.path, parts.query, rest, option)
    if not host:
        raise ScaledoctorError(f"{option}: the URL names no host", HINT)
    names = [part for part in parts.path.split("/") if part]
    master = [names.pop(0)] if scheme == "redis+sentinel" and names else []
    if scheme == "redis+sentinel" and not master:
        raise ScaledoctorError(f"{option}: the URL does not name the Sentinel's master", HINT)
    number = _database("".join(names), parts.query, option)
    port = port or PORTS[scheme]
    shown = f"[{host}]" if ":" in host else host
    where = "".join(f"/{part}" for part in (*master, *([number] if number else [])))
    query = f"?{parts.query}" if parts.query else ""
    return Target(
        kind="redis",
        name=f"redis:{number}" if int(number or 0) else "redis",
        address=f"{scheme}://{shown}:{port}{where}",
        dsn=f"{scheme}://{_login(parts.netloc)}{shown}:{port}{where}{query}",
        local_port=local_port(host, str(port)) if not master else None,
    )


def _cut_by_its_password(rest: str) -> bool:
    """Whether a part of the password would be taken for the host, and printed."""
    authority = rest.removeprefix("//").partition("?")[0].partition("/")[0]
    later = "@" in rest and "@" not in authority
    return authority.count("@") > 1 or later or "#" in rest


def _socket(path: str, query: str, rest: str, option: str) -> Target:
    if not path.startswith("/"):
        raise ScaledoctorError(f"{option}: the URL names no socket", HINT)
    number = _database("", query, option)
    where = f"unix:{path}" + (f"?db={number}" if number else "")
    login = _login(urlsplit(f"unix:{rest}").netloc)
    return Target(
        kind="redis",
        name=f"redis:{number}" if int(number or 0) else "redis",
        address=where,
        dsn=f"unix://{login}{path}" + (f"?db={number}" if number else ""),
        local_port=0,
    )


def _login(netloc: str) -> str:
    return f"{netloc.rpartition('@')[0]}@" if "@" in netloc else ""


def _database(path: str, query: str, option: str) -> str:
    """The number of the database, in the path or as Celery and redis-py write it in the query."""
    words = parse_qs(query)
    number = path or next((words[n][0] for n in ("db", "virtual_host") if n in words), "")
    if number and not (number.isascii() and number.isdigit() and len(number) < 6):
        raise ScaledoctorError(f"{option}: the database of a Redis URL is a number", HINT)
    return str(int(number)) if number else ""
