"""What a project's own files say of its systems, for a first configuration; never a secret."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

LONGEST = 1 << 18
"""Bytes of a file that are looked at: settings are short."""


@dataclass(frozen=True, slots=True)
class Found:
    """A target: its option, what stands in the file, and where it was found."""

    option: str
    value: str
    where: str


SCHEMES = {
    "postgres": "dsn",
    "postgresql": "dsn",
    "redis": "redis",
    "rediss": "redis",
    "mysql": "mysql",
    "mariadb": "mysql",
}
IMAGES = {
    "pgbouncer": ("pgbouncer", 6432, "postgresql://stats@localhost:{port}/pgbouncer"),
    "postgres": ("dsn", 5432, "postgresql://postgres@localhost:{port}/postgres"),
    "timescale": ("dsn", 5432, "postgresql://postgres@localhost:{port}/postgres"),
    "redis": ("redis", 6379, "redis://localhost:{port}/0"),
    "valkey": ("redis", 6379, "redis://localhost:{port}/0"),
    "rabbitmq": ("rabbitmq", 15672, "http://guest@localhost:{port}"),
    "mysql": ("mysql", 3306, "mysql://root@localhost:{port}/mysql"),
    "mariadb": ("mysql", 3306, "mysql://root@localhost:{port}/mysql"),
    "haproxy": ("haproxy", 8404, "http://localhost:{port}/stats"),
}
"""Images of a compose file: option, the port inside, and the address on this machine."""

COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")

_ASSIGNED = re.compile(r"^\s*(?:export\s+)?([A-Z][A-Z0-9_]*)\s*=\s*[\"']?([a-z0-9+]+)://", re.M)
_URL = re.compile(r"\b(postgres(?:ql)?|rediss?|mysql|mariadb)(?:\+\w+)?://[^\s\"'#<>]+")
_SERVICE = re.compile(r"^( {2}|\t)[\w.-]+:\s*$", re.M)
_IMAGE = re.compile(r"^\s+image:\s*[\"']?(\S+?)[\"']?\s*$", re.M)


def discover(folder: Path, environment: Mapping[str, str], known: frozenset[str]) -> list[Found]:
    """Return what the environment and the usual files name, each target once.

    ``known`` are the options that exist.
    """
    found = [
        *_variables(environment, "environment"),
        *_dotenv(folder),
        *_compose(folder),
        *_django(folder),
        *_urls(folder),
    ]
    usable = [f for f in found if f.option in known]
    return list({(f.option, f.value): f for f in reversed(usable)}.values())[::-1]


def _variables(environment: Mapping[str, str], where: str) -> Iterator[Found]:
    for name, value in sorted(environment.items()):
        option = (
            SCHEMES.get(value.partition("://")[0].partition("+")[0]) if "://" in value else None
        )
        if option and re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            yield Found(option, f"${{{name}}}", where)


def _dotenv(folder: Path) -> Iterator[Found]:
    for name, scheme in _ASSIGNED.findall(_text(folder / ".env")):
        option = SCHEMES.get(scheme.partition("+")[0])
        if option:
            yield Found(option, f"${{{name}}}", ".env (export it first)")


def _compose(folder: Path) -> Iterator[Found]:
    for file in COMPOSE:
        text = _text(folder / file)
        edges = [*(match.start() for match in _SERVICE.finditer(text)), len(text)]
        for begin, end in pairwise(edges):
            yield from _service(text[begin:end], file)


def _service(text: str, file: str) -> Iterator[Found]:
    image = _IMAGE.search(text)
    name = image[1].lower() if image else ""
    for word, (option, inside, address) in IMAGES.items():
        if word in name:
            port = re.search(rf"[\"']?(?:[\d.]+:)?(\d+):{inside}\b", text)
            if port:
                yield Found(option, address.format(port=port[1]), file)
            return


def _django(folder: Path) -> Iterator[Found]:
    for path in sorted([*folder.glob("*/settings.py"), *folder.glob("*/settings/*.py")]):
        text = _text(path)
        if "django.db.backends.postgresql" not in text:
            continue
        name, host, port, user = (
            (re.search(rf"[\"']{key}[\"']\s*:\s*[\"']([\w.-]+)[\"']", text) or ["", ""])[1]
            for key in ("NAME", "HOST", "PORT", "USER")
        )
        if name:
            login = f"{user}@" if user else ""
            place = f"{host or 'localhost'}:{port or '5432'}"
            yield Found("dsn", f"postgresql://{login}{place}/{name}", str(path.relative_to(folder)))


def _urls(folder: Path) -> Iterator[Found]:
    for name in ("alembic.ini", "config/database.yml", "prisma/schema.prisma", "config/cable.yml"):
        for match in _URL.finditer(_text(folder / name)):
            url = without_password(match[0])
            if url:
                yield Found(SCHEMES[match[1]], url, name)


def without_password(url: str) -> str:
    """The URL without its password and its parameters; empty when it cannot be read."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if not host or re.search(r"[${}%<>]", parts.netloc):
        return ""
    login = f"{parts.username}@" if parts.username else ""
    place = f"{login}{host}" + (f":{port}" if port else "")
    return urlunsplit((parts.scheme.partition("+")[0], place, parts.path, "", ""))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LONGEST).decode("utf-8", "replace")
    except OSError:
        return ""
