"""GoodJob: one table, in which finished jobs stay for two weeks."""

from scaledoctor.sources.postgres.queues._family import Family, Part, later

GOOD_JOB = Family(
    system="good_job",
    table="good_jobs",
    columns=("queue_name", "scheduled_at", "performed_at", "finished_at", "error", "created_at"),
    queue="coalesce(j.queue_name, 'default')",
    parts=(
        Part(
            "CASE WHEN performed_at IS NOT NULL THEN 'in_flight' "
            f"ELSE {later('scheduled_at', 'error IS NOT NULL')} END",
            "finished_at IS NULL",
            "coalesce(scheduled_at, created_at)",
            ("priority", "queue_name", "scheduled_at"),
        ),
        # Its own word for it: discarded.
        Part("'dead'", "finished_at IS NOT NULL AND error IS NOT NULL", index=("error",)),
    ),
    words=("good_jobs",),
    # Its processes beat every 30 s and are given up after 5 min.
    workers="SELECT '*' AS queues, count(*) AS consumers, NULL::int AS slots "
    "FROM {schema}.good_job_processes "
    "WHERE extract(epoch FROM updated_at) > extract(epoch FROM now()) - 300",
    needs=("good_job_processes",),
)
