"""pg-boss: one table, from version 10 on in parts by queue."""

from scaledoctor.sources.postgres.queues._family import Family, Part, later


def _family(after: str, count: str, started: str) -> Family:
    return Family(
        system="pg-boss",
        table="job",
        columns=("name", "state", "priority", after, count, started),
        queue="j.name",
        parts=(
            # Its index of what is to be fetched has this condition; the states are in order.
            Part(later(after, f"{count} > 0"), "state < 'active'", after),
            Part("'in_flight'", "state = 'active'", started, ("state",)),
            Part("'dead'", "state = 'failed'", index=("state",)),
        ),
        words=("pgboss.job", "pgboss.j", '"pgboss"'),
        schema="pgboss",
    )


PG_BOSS = _family("start_after", "retry_count", "started_on")
PG_BOSS_9 = _family("startafter", "retrycount", "startedon")
