"""What holds back the xmin horizon besides live sessions."""

from dataclasses import dataclass

from scaledoctor.sdk import Unavailable, fact, probe
from scaledoctor.sources.postgres.server import Server
from scaledoctor.sources.postgres.session import PostgresSession


@fact
@dataclass(frozen=True, slots=True)
class XminHolder:
    """A prepared transaction, a replication slot or a standby; age in transactions, seconds.

    ``catalog`` holds rows of system catalogues alone: a slot of logical replication.
    """

    kind: str
    name: str
    owner: str
    xid_age: int
    seconds: float | None
    catalog: bool = False


@fact
@dataclass(frozen=True, slots=True)
class XminHolders:
    """All holders that are not sessions of this server, the oldest first."""

    holders: tuple[XminHolder, ...]


_HOLDERS = """
SELECT 'prepared transaction' AS kind, gid AS name, owner::text AS owner,
       age(transaction) AS xid_age, extract(epoch FROM now() - prepared)::float8 AS seconds,
       false AS catalog
FROM pg_prepared_xacts
UNION ALL
SELECT 'replication slot', slot_name::text, coalesce(database::text, ''),
       greatest(age(xmin), age(catalog_xmin)), NULL,
       xmin IS NULL
FROM pg_replication_slots WHERE coalesce(xmin, catalog_xmin) IS NOT NULL
UNION ALL
SELECT 'standby', coalesce(application_name, ''), coalesce(usename::text, ''),
       age(backend_xmin), NULL, false
FROM pg_stat_replication WHERE backend_xmin IS NOT NULL
UNION ALL
SELECT 'hidden', '', '', 0, NULL, false FROM pg_stat_replication WHERE state IS NULL
ORDER BY 4 DESC
LIMIT 20
"""


@probe(cost="1 query, < 1 ms")
async def xmin_holders(pg: PostgresSession, server: Server) -> XminHolders:
    """Read prepared transactions, slots and standbys."""
    rows = await pg.rows(_HOLDERS)
    if any(row["kind"] == "hidden" for row in rows):
        raise Unavailable(f"role {server.role} cannot see what the standbys hold", server.grant)
    text = pg.redactor.text
    return XminHolders(tuple(XminHolder(**{**row, "name": text(row["name"])}) for row in rows))
