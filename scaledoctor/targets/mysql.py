"""MySQL and MariaDB by URL, over TCP or a socket."""

from urllib.parse import parse_qs, unquote, urlsplit

from scaledoctor.errors import ScaledoctorError
from scaledoctor.targets.address import CUTTING, cut_by_its_login, local_port
from scaledoctor.targets.target import Target

SCHEMES = ("mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql")
PORT = 3306
HINT = (
    "use mysql://user:password@host:3306/database, "
    "or mysql://user@/database?unix_socket=/run/mysqld/mysqld.sock"
)
OTHERS = ("charset",)
"""Words that applications put behind such a URL and that mean nothing to us."""


def mysql_target(url: str) -> Target:
    """Build a target from a URL as applications write it.

    Raises:
        ScaledoctorError: not such a URL; the message never repeats it.

    """
    if cut_by_its_login(url):
        raise ScaledoctorError("--mysql: user or password holds a sign that cuts the URL", CUTTING)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or PORT
    except ValueError:
        raise ScaledoctorError("--mysql: this URL cannot be read", HINT) from None
    if parts.scheme not in SCHEMES:
        raise ScaledoctorError("--mysql: this is not a MySQL URL", HINT)
    query = parse_qs(parts.query)
    odd = sorted(set(query) - {"unix_socket", *OTHERS})
    if odd:
        raise ScaledoctorError("--mysql: only unix_socket is known behind the ?", HINT)
    socket = query.get("unix_socket", [""])[0]
    if bool(host) == bool(socket):
        which = "both a host and a socket" if host else "neither a host nor a socket"
        raise ScaledoctorError(f"--mysql: the URL names {which}", HINT)
    database = unquote(parts.path.strip("/"))
    shown = f"[{host}]" if ":" in host else host
    place = f"unix:{socket}" if socket else f"mysql://{shown}:{port}"
    return Target(
        kind="mysql",
        name=f"mysql:{database}" if database else "mysql",
        address=f"{place}/{database}" if database and host else place,
        dsn=url,
        local_port=0 if socket else local_port(host, str(port)),
    )
