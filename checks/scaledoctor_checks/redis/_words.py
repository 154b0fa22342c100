"""Numbers, settings and fixes of Redis as people read them."""

from scaledoctor.sdk import Fix
from scaledoctor.sources.redis.config import RedisConfig

INFO = "INFO at both edges of the window"

REFUSED = "# CONFIG was refused here: on a managed service set it in the parameter group"


def size(count: float) -> str:
    """Bytes as kB, MB or GB of 1,024."""
    for unit, bytes_ in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if count >= bytes_:
            return f"{count / bytes_:.1f} {unit}"
    return f"{count:.0f} bytes"


def setting(
    title: str,
    name: str,
    value: str,
    config: RedisConfig | None,
    *,
    risk: str,
    verify: str,
    undo: str,
    before: tuple[str, ...] = (),
) -> Fix:
    """Change a setting while it runs, and in its file so that it stays."""
    keep = "# and in redis.conf, or CONFIG REWRITE, so that it survives a restart"
    return Fix(
        title,
        (*before, *(() if config else (REFUSED,)), f"redis-cli CONFIG SET {name} {value}", keep),
        "shell",
        risk=risk,
        verify=verify,
        undo=undo,
    )
