"""MySQL and MariaDB by URL, over TCP or a socket."""

from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from scaledoctor.errors import ScaledoctorError
from scaledoctor.targets.address import CUTTING, cut_by_its_login, local_port
from scaledoctor.targets.target import Target

SCHEMES = ("mysql", "mysql2", "mariadb", "mysql+pymysql", "mariadb+pymysql")
"""As drivers, Rails (mysql2) and SQLAlchemy write it."""

PORT = 3306
HINT = (
    "use mysql://user:password@host:3306/database, "
    "or mysql://user@/database?unix_socket=/run/mysqld/mysqld.sock"
)


def mysql_target(url: str) -> Target:
    """Build a target from a URL as applications write it.

    TLS is used where the server has it; ``?ssl_ca=FILE`` asks for it and checks the certificate.

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
    # What else applications put there (pool, encoding) means nothing to us.
    for file in query.get("ssl_ca", ()):
        if not Path(file).is_file():
            raise ScaledoctorError("--mysql: ssl_ca names no file", "give the CA's certificate")
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
