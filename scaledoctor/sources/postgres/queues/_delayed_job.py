"""delayed_job: one table; finished jobs leave it, failed ones stay."""

from scaledoctor.sources.postgres.queues._family import Family, Part, later

DELAYED_JOB = Family(
    system="delayed_job",
    table="delayed_jobs",
    columns=("queue", "run_at", "locked_at", "failed_at", "attempts"),
    queue="coalesce(j.queue, 'default')",
    parts=(
        Part(
            "CASE WHEN locked_at IS NOT NULL THEN 'in_flight' "
            f"ELSE {later('run_at', 'attempts > 0')} END",
            "failed_at IS NULL",
            "run_at",
            ("priority", "run_at", "failed_at"),
        ),
        Part("'dead'", "failed_at IS NOT NULL", index=("failed_at",)),
    ),
    words=("delayed_jobs",),
)
