"""Oban: one table by state; of its nodes the leader alone has a row."""

from scaledoctor.sources.postgres.queues._family import Family, Part

STATE = ("state",)

OBAN = Family(
    system="oban",
    table="oban_jobs",
    columns=("id", "state", "queue", "scheduled_at", "attempted_at"),
    queue="j.queue",
    parts=(
        Part("'ready'", "state = 'available'", "scheduled_at", STATE),
        Part("'in_flight'", "state = 'executing'", "attempted_at", STATE),
        Part("'scheduled'", "state = 'scheduled'", index=STATE),
        Part("'retrying'", "state = 'retryable'", index=STATE),
        Part("'dead'", "state = 'discarded'", index=STATE),
    ),
    words=("oban_jobs",),
    id="j.id",
    # A leader's row that ran out means that no node is left; without any row nothing is known.
    workers="SELECT '*' AS queues, 0 AS consumers, NULL::int AS slots FROM {schema}.oban_peers "
    "HAVING count(*) > 0 AND max(extract(epoch FROM expires_at)) < extract(epoch FROM now())",
    counts_workers=False,
    needs=("oban_peers",),
)
