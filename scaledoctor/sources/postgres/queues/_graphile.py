"""graphile-worker: one table of all jobs; each task is a queue of its own to people."""

from scaledoctor.sources.postgres.queues._family import Family, Part, later

SOURCE = "{schema}._private_jobs j JOIN {schema}._private_tasks t ON t.id = j.task_id"
TASKS = ("_private_tasks",)

GRAPHILE = Family(
    system="graphile-worker",
    table="_private_jobs",
    columns=("task_id", "is_available", "run_at", "locked_at", "attempts", "max_attempts"),
    queue="t.identifier",
    parts=(
        Part(later("j.run_at", "j.attempts > 0"), "j.is_available", "j.run_at",
             ("priority",), SOURCE, TASKS),
        Part("CASE WHEN j.locked_at IS NOT NULL THEN 'in_flight' ELSE 'dead' END",
             "NOT j.is_available", "j.locked_at", ("is_available",), SOURCE, TASKS),
    ),
    words=("_private_jobs",),
    schema="graphile_worker",
)  # fmt: skip
