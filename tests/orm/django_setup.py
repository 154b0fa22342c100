"""Django as a library of models, without a project: two databases, direct and pooled."""

from typing import Any

import django  # type: ignore[import-untyped]  # it has no types
from django.conf import settings  # type: ignore[import-untyped]  # it has no types

from tests.orm.library import Library


def configure(direct: Library, pooled: Library, named: Library) -> None:
    """Settings once per process; connections stay open as a web server's do."""
    if settings.configured:
        return
    settings.configure(
        DATABASES={
            "default": _database(direct),
            "direct": _database(direct),
            "pooled": _database(pooled),
            "named": _database(named),
        },
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        USE_TZ=True,
    )
    django.setup()


def _database(library: Library) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": library.port,
        "USER": "postgres",
        "NAME": "postgres",
        "CONN_MAX_AGE": None,
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": {"application_name": "django"},
    }
