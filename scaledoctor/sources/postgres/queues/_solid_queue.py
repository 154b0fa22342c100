"""Solid Queue: a table for each state, and one of all jobs."""

from scaledoctor.sources.postgres.queues._family import Family, Part

ALIVE = (
    "p.kind = 'Worker' AND extract(epoch FROM p.last_heartbeat_at) "
    "> extract(epoch FROM now()) - 300"
)
"""Its process_alive_threshold; a process beats every 60 s."""

CLAIMED = (
    "{schema}.solid_queue_claimed_executions e JOIN {schema}.solid_queue_jobs j ON j.id = e.job_id"
)
CLAIMS = ("solid_queue_claimed_executions", "solid_queue_jobs")

SOLID_QUEUE = Family(
    system="solid_queue",
    table="solid_queue_ready_executions",
    columns=("job_id", "queue_name", "created_at"),
    queue="j.queue_name",
    parts=(
        Part("'ready'", since="j.created_at"),
        Part("'in_flight'", since="e.created_at", source=CLAIMED, needs=CLAIMS),
        Part(
            # Without a number of the process nothing is said: later versions link them by name.
            "CASE WHEN e.process_id IS NOT NULL AND NOT EXISTS "
            "(SELECT FROM {schema}.solid_queue_processes p "
            f"WHERE p.id = e.process_id AND {ALIVE}) THEN 'stuck' END",
            source=CLAIMED,
            needs=(*CLAIMS, "solid_queue_processes"),
        ),
        Part(
            "'scheduled'",
            source="{schema}.solid_queue_scheduled_executions j",
            needs=("solid_queue_scheduled_executions",),
        ),
        Part(
            "'dead'",
            source="{schema}.solid_queue_failed_executions e "
            "JOIN {schema}.solid_queue_jobs j ON j.id = e.job_id",
            needs=("solid_queue_failed_executions", "solid_queue_jobs"),
        ),
    ),
    words=("solid_queue_ready_executions",),
    workers="SELECT p.metadata::jsonb ->> 'queues' AS queues, 1 AS consumers, "
    "(p.metadata::jsonb ->> 'thread_pool_size')::int AS slots "
    f"FROM {{schema}}.solid_queue_processes p WHERE {ALIVE} ORDER BY p.id LIMIT 1000",
    paused="SELECT queue_name AS queue FROM {schema}.solid_queue_pauses",
    needs=("solid_queue_processes", "solid_queue_pauses"),
)
