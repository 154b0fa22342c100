"""What init finds in a project, without any of its secrets."""

import tomllib
from pathlib import Path

import pytest

from scaledoctor.cli.init import document
from scaledoctor.config.discover import Found, discover, without_password
from scaledoctor.targets import OPTIONS

KNOWN = frozenset(option.name for option in OPTIONS)
FILES = {
    ".env": "DATABASE_URL=postgresql://u:s3cret@db/shop\nexport CACHE_URL='redis://:s3cret@c/0'\nX=1\n",
    "docker-compose.yml": """
services:
  db:
    image: postgres:18
    environment:
      POSTGRES_PASSWORD: s3cret
    ports:
      - "5433:5432"
  cache:
    image: "redis:7"
    ports: ["127.0.0.1:6380:6379"]
  inner:
    image: rabbitmq:4-management
  web:
    image: nginx
    ports: ["80:80"]
""",
    "shop/settings.py": """
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": "books", "USER": "web",
    "PASSWORD": "s3cret", "HOST": "10.0.0.7"}}
""",
    "alembic.ini": "sqlalchemy.url = postgresql+psycopg://web:s3cret@db:5432/ledger?sslmode=require\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the usual files."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_the_usual_files_are_understood(project: Path) -> None:
    """Each with where it stands; a service without a published port is no target."""
    found = discover(project, {"JOBS_URL": "redis://:s3cret@q/1", "HOME": "/root"}, KNOWN)
    assert found == [
        Found("redis", "${JOBS_URL}", "environment"),
        Found("dsn", "${DATABASE_URL}", ".env (export it first)"),
        Found("redis", "${CACHE_URL}", ".env (export it first)"),
        Found("dsn", "postgresql://postgres@localhost:5433/postgres", "docker-compose.yml"),
        Found("redis", "redis://localhost:6380/0", "docker-compose.yml"),
        Found("dsn", "postgresql://web@10.0.0.7:5432/books", "shop/settings.py"),
        Found("dsn", "postgresql://web@db:5432/ledger", "alembic.ini"),
    ]


def test_the_file_is_valid_and_holds_no_secret(project: Path) -> None:
    """TOML that the reader takes; without any finding it is a commented frame."""
    text = document(discover(project, {}, KNOWN))
    assert "s3cret" not in text
    assert set(tomllib.loads(text)["targets"]) == {"dsn", "redis"}
    assert tomllib.loads(document([])) == {"scan": {}, "targets": {}}


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("postgresql://u:p@h:1/d?x=1#f", "postgresql://u@h:1/d"),
        ("postgresql://h/d", "postgresql://h/d"),
        ("redis://:p@h:6379/0", "redis://h:6379/0"),
        ("postgresql://u:${PASS}@h/d", ""),
        ("postgresql://u:p@h:port/d", ""),
        ("postgresql:///d", ""),
        ("postgresql://<%= x %>@h/d", ""),
    ],
)
def test_a_url_loses_its_password(url: str, plain: str) -> None:
    """What cannot be read for sure is left out."""
    assert without_password(url) == plain


def test_strange_files_are_no_trouble(tmp_path: Path) -> None:
    """Bytes, folders and broken YAML."""
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00A=postgres://")
    (tmp_path / "alembic.ini").mkdir()
    (tmp_path / "compose.yaml").write_text("services:\n  a:\n    image:\n  b:\n")
    assert discover(tmp_path, {}, KNOWN) == []
