"""River: one table by state; of its clients the leader alone has a row."""

from scaledoctor.sources.postgres.queues._family import Family, Part

STATE = ("state",)

RIVER = Family(
    system="river",
    table="river_job",
    columns=("id", "state", "queue", "scheduled_at", "attempted_at", "finalized_at"),
    queue="j.queue",
    parts=(
        Part("'ready'", "state = 'available'", "scheduled_at", STATE),
        Part("'in_flight'", "state = 'running'", "attempted_at", STATE),
        Part("'scheduled'", "state = 'scheduled'", index=STATE),
        Part("'retrying'", "state = 'retryable'", index=STATE),
        Part("'dead'", "state = 'discarded'", index=STATE),
    ),
    words=("river_job",),
    id="j.id",
    # A leader's row that ran out means that no client is left; without any row nothing is known.
    workers="SELECT '*' AS queues, 0 AS consumers, NULL::int AS slots FROM {schema}.river_leader "
    "HAVING count(*) > 0 AND max(expires_at) < now()",
    counts_workers=False,
    paused="SELECT name AS queue FROM {schema}.river_queue WHERE paused_at IS NOT NULL",
    needs=("river_leader", "river_queue"),
)
