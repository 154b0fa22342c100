"""URLs, sockets and files as targets; an address for people never holds a secret."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from scaledoctor.errors import ScaledoctorError
from scaledoctor.targets.target import Target

DEFAULT_PORTS = {"http": 80, "https": 443, "redis": 6379, "rediss": 6379, "mysql": 3306}
HTTP = ("http", "https")
CUTTING = "write @ as %40, / as %2F, : as %3A, # as %23, ? as %3F"


def url_target(kind: str, url: str, schemes: Sequence[str] = HTTP) -> Target:
    """Build a target from a URL of one of these schemes.

    Raises:
        ScaledoctorError: not such a URL; the message never repeats it.

    """
    if cut_by_its_login(url):
        message = f"--{kind}: user or password holds a sign that cuts the URL"
        raise ScaledoctorError(message, CUTTING)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in schemes or not host:
        known = " or ".join(schemes)
        hint = f"use {schemes[0]}://host:port/path"
        raise ScaledoctorError(f"--{kind}: this is not an {known} URL", hint)
    port = port or DEFAULT_PORTS[parts.scheme]
    shown = f"[{host}]" if ":" in host else host
    address = f"{parts.scheme}://{shown}:{port}{parts.path}"
    return Target(kind, kind, address, url, True, local_port(host, str(port)))


def cut_by_its_login(url: str) -> bool:
    """Whether a part of the login would be taken for host or path, and so be shown."""
    authority, _, path = url.partition("://")[2].partition("/")
    login = authority.rpartition("@")[0]
    return "@" in path.partition("?")[0] or "#" in login or "?" in login


def socket_or_url_target(kind: str, where: str) -> Target:
    """Build a target from an http URL, ``unix:PATH``, a path, or ``tcp://HOST:PORT``.

    Raises:
        ScaledoctorError: none of these.

    """
    path = where.removeprefix("unix://").removeprefix("unix:")
    if path.startswith("/"):
        return Target(kind, kind, f"unix:{path}", f"unix:{path}", local_port=0)
    scheme, _, rest = where.partition("://")
    host, separator, port = rest.rpartition(":")
    if scheme == "tcp" and separator and host and port.isdigit():
        return Target(kind, kind, where, where, local_port=local_port(host, port))
    if scheme in HTTP:
        return url_target(kind, where)
    hint = "use http://host:port/path, unix:/path/to/socket or tcp://host:port"
    raise ScaledoctorError(f"--{kind}: neither a URL nor a socket", hint)


def file_target(kind: str, path: str) -> Target:
    """Build a target from a file that exists; its name is part of the target's.

    Raises:
        ScaledoctorError: no such file.

    """
    file = Path(path)
    if not file.is_file():
        what = "is a folder, not a file" if file.is_dir() else "no such file"
        raise ScaledoctorError(f"--{kind} {path}: {what}")
    return Target(kind, f"{kind}:{file.name}", str(file), str(file))


def local_port(host: str, port: str) -> int | None:
    """Return the port when the host is this machine, by its name or a loopback address."""
    here = host in ("local socket", "localhost", "::1") or host.startswith(("/", "@", "127."))
    return int(port) if here and port.isdigit() else None
