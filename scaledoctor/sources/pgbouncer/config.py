"""PgBouncer's version and the settings that checks compare with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scaledoctor.sdk import fact, probe
from scaledoctor.sources.pgbouncer.session import PgBouncerSession, Row, word

WANTED = frozenset({
    "auth_type", "client_idle_timeout", "conffile", "default_pool_size", "idle_transaction_timeout",
    "ignore_startup_parameters", "listen_addr", "listen_port", "logfile", "max_client_conn",
    "max_db_connections", "max_prepared_statements", "max_user_connections", "min_pool_size",
    "peer_id", "pool_mode", "query_timeout", "query_wait_timeout", "reserve_pool_size",
    "reserve_pool_timeout", "server_connect_timeout", "server_idle_timeout", "server_lifetime",
    "server_login_retry", "server_reset_query", "server_reset_query_always", "so_reuseport",
    "transaction_timeout",
})  # fmt: skip
"""None of them holds a secret; auth_ldap_options, for one, may."""


@fact
@dataclass(frozen=True, slots=True)
class PoolerConfig:
    """The version, as (1, 18, 0), and settings as PgBouncer prints them; times in seconds."""

    version: tuple[int, int, int]
    values: Mapping[str, str]

    def number(self, name: str, default: float = 0.0) -> float:
        """A numeric setting, or ``default`` where this version does not have it."""
        try:
            return float(self.values.get(name, default))
        except ValueError:
            return default

    @property
    def file(self) -> str:
        """The configuration file, as PgBouncer was told it."""
        return self.values.get("conffile") or "pgbouncer.ini"

    @property
    def name(self) -> str:
        """PgBouncer 1.18.0."""
        return f"PgBouncer {'.'.join(map(str, self.version))}"


@probe(cost="SHOW CONFIG, < 1 ms")
async def pooler_config(console: PgBouncerSession) -> PoolerConfig:
    """Read SHOW CONFIG."""
    values = config_of(await console.show("CONFIG"))
    text = console.redactor.text
    return PoolerConfig(console.version, {name: text(value) for name, value in values.items()})


def config_of(rows: Sequence[Row]) -> Mapping[str, str]:
    """Return the wanted settings of any version's SHOW CONFIG."""
    found = {word(row, "key"): word(row, "value") for row in rows}
    return {name: found[name] for name in sorted(WANTED & found.keys())}
