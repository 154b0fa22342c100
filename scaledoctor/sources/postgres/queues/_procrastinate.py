"""procrastinate: one table; the time of a job that is due at once stands in its events."""

from scaledoctor.sources.postgres.queues._family import Family, Part, later

DOING = ("lock",)
"""Its partial index on jobs that are worked on."""

LIVING = "w.last_heartbeat > now() - interval '30 s'"
"""Its stalled_worker_timeout; a worker beats every 10 s."""

PROCRASTINATE = Family(
    system="procrastinate",
    table="procrastinate_jobs",
    columns=("id", "queue_name", "status", "scheduled_at", "attempts"),
    queue="j.queue_name",
    parts=(
        Part(later("scheduled_at", "attempts > 0"), "status = 'todo'", "scheduled_at",
             ("priority", "status")),
        Part("'in_flight'", "status = 'doing'", index=(*DOING, "status")),
        Part("'dead'", "status = 'failed'", index=("status",)),
        Part(
            "'stuck'",
            "status = 'doing' AND NOT EXISTS (SELECT FROM {schema}.procrastinate_workers w "
            f"WHERE w.id = j.worker_id AND {LIVING})",
            index=(*DOING, "status"),
            needs=("procrastinate_workers",),
        ),
    ),
    words=("procrastinate_fetch_job", "procrastinate_jobs"),
    id="j.id",
    workers="SELECT '*' AS queues, count(*) AS consumers, NULL::int AS slots "
    f"FROM {{schema}}.procrastinate_workers w WHERE {LIVING}",
    dated="SELECT job_id AS id, extract(epoch FROM now() - min(at))::float8 AS age "
    "FROM {schema}.procrastinate_events WHERE job_id = ANY(%(ids)s) "
    "AND type = 'deferred' GROUP BY job_id",
    needs=("procrastinate_workers", "procrastinate_events"),
)  # fmt: skip
