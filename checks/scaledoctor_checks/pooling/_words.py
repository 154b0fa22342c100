"""Fixes that can be pasted into pgbouncer.ini, and the words around them."""

from collections.abc import Iterable

from scaledoctor.sdk import Fix
from scaledoctor.sources.pgbouncer import PoolerConfig, PoolerDatabase

RELOAD = "; then on PgBouncer's console, as one of its admin_users: RELOAD;"


def seconds(value: float) -> str:
    """4 ms, 350 ms, 2.1 s."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def plural(count: float, word: str) -> str:
    """1 client, 3 clients."""
    return f"{count:,.0f} {word}" if round(count) == 1 else f"{count:,.0f} {word}s"


def ini(
    title: str,
    section: str,
    lines: Iterable[str],
    config: PoolerConfig | None,
    *,
    risk: str,
    verify: str,
    undo: str,
    restart: bool = False,
) -> Fix:
    """A change of pgbouncer.ini.

    PgBouncer fills in its defaults when [pgbouncer] begins: a second one would reset all settings
    of the first at the next RELOAD, admin_users included. So its lines come without their head.
    The other sections may be opened again.
    """
    where = config.file if config else "pgbouncer.ini"
    after = "; then restart PgBouncer: this setting is read at the start only"
    head: tuple[str, ...] = (f"; at the end of {where}", f"[{section}]")
    if section == "pgbouncer":
        head = (f"; below [pgbouncer] in {where}, instead of the old lines; no second [pgbouncer]",)
    return Fix(
        title,
        (*head, *lines, after if restart else RELOAD),
        language="ini",
        risk=risk,
        verify=verify,
        undo=undo,
    )


def entry(database: PoolerDatabase, *options: str) -> str:
    """A database's line anew, with other options.

    A comment where the line holds a password, which SHOW DATABASES does not tell, or a name that
    cannot be written.
    """
    if database.forced or not nameable(database.name):
        return f"; into the line of {database.name}: {' '.join(options)}"
    own = [
        f"host={value(database.host)}" if database.host else "",
        f"port={database.port}" if database.port else "",
        f"dbname={value(database.real)}" if database.real else "",
        f"pool_mode={database.mode}" if database.mode else "",
        f"max_db_connections={database.cap}" if database.cap else "",
    ]
    new = {option.partition("=")[0] for option in options}
    kept = [word for word in own if word and word.partition("=")[0] not in new]
    return f"{database.name} = {' '.join([*kept, *options])}"


def value(text: str) -> str:
    """A value of a connection string, quoted where it must be."""
    plain = text and not any(c.isspace() or c in "'\\" for c in text)
    return text if plain else "'" + text.replace("'", "''") + "'"


def nameable(text: str) -> bool:
    """Whether pgbouncer.ini can have an entry of that name: no version before 1.25 quotes it."""
    return bool(text) and all(c.isascii() and (c.isalnum() or c in "_.-") for c in text)
