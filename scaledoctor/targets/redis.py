"""Redis and its kin: URLs as redis-py, Celery and Sidekiq write them."""

from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qs, urlsplit

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
    parts = _read(url, option)
    scheme, host, port = parts.scheme, parts.hostname or "", parts.port
    if scheme == "unix":
        return _socket(parts, option)
    if not host:
        raise ScaledoctorError(f"{option}: the URL names no host", HINT)
    names = [part for part in parts.path.split("/") if part]
    master = [names.pop(0)] if scheme == "redis+sentinel" and names else []
    if scheme == "redis+sentinel" and not master:
        raise ScaledoctorError(f"{option}: the URL does not name the Sentinel's master", HINT)
    number = _database("/".join(names), parts.query, option)
    port = port or PORTS[scheme]
    place = f"{f'[{host}]' if ':' in host else host}:{port}"
    where = place + "".join(f"/{part}" for part in (*master, *([number] if number else [])))
    query = f"?{parts.query}" if parts.query else ""
    return Target(
        kind="redis",
        name=f"redis:{number}" if int(number or 0) else "redis",
        address=f"{scheme}://{where}",
        dsn=f"{scheme}://{_login(parts.netloc)}{where}{query}",
        local_port=local_port(host, str(port)) if not master else None,
    )


def _read(url: str, option: str) -> SplitResult:
    """Take the URL apart, with the scheme that it means and a port that is a number."""
    before, _, rest = url.partition(":")
    scheme = SCHEMES.get(before.lower())
    if scheme is None:
        raise ScaledoctorError(f"{option}: this is not a Redis URL", HINT)
    if _cut_by_its_password(rest):
        message = f"{option}: user or password holds a sign that cuts the URL"
        raise ScaledoctorError(message, "write @ as %40, / as %2F, : as %3A, # as %23, ? as %3F")
    try:
        parts = urlsplit(f"{scheme}:{rest}")
        _ = parts.hostname, parts.port  # read when asked for
    except ValueError:
        raise ScaledoctorError(f"{option}: this URL cannot be read", HINT) from None
    return parts


def _cut_by_its_password(rest: str) -> bool:
    """Whether a part of the password would be taken for the host, and printed."""
    authority = rest.removeprefix("//").partition("?")[0].partition("/")[0]
    later = "@" in rest and "@" not in authority
    return authority.count("@") > 1 or later or "#" in rest


def _socket(parts: SplitResult, option: str) -> Target:
    path, query = parts.path, parts.query
    if not path.startswith("/"):
        raise ScaledoctorError(f"{option}: the URL names no socket", HINT)
    number = _database("", query, option)
    where = f"unix:{path}" + (f"?db={number}" if number else "")
    return Target(
        kind="redis",
        name=f"redis:{number}" if int(number or 0) else "redis",
        address=where,
        dsn=f"unix://{_login(parts.netloc)}{path}" + (f"?db={number}" if number else ""),
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
