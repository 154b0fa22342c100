"""Que: one table; a job in somebody's hands is an advisory lock of its number."""

from scaledoctor.sources.postgres.queues._family import Family, Part, later

TAKEN = (
    "j.id IN (SELECT (l.classid::bigint << 32) | l.objid::bigint FROM pg_locks l "
    "WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted)"
)

QUE = Family(
    system="que",
    table="que_jobs",
    columns=("id", "queue", "run_at", "error_count", "finished_at", "expired_at"),
    queue="j.queue",
    parts=(
        Part(
            f"CASE WHEN {TAKEN} THEN 'in_flight' ELSE {later('run_at', 'error_count > 0')} END",
            "finished_at IS NULL AND expired_at IS NULL",
            "run_at",
        ),
        Part("'dead'", "expired_at IS NOT NULL", index=("expired_at",)),
    ),
    words=("que_jobs",),
    id="j.id",
    workers="SELECT unnest(l.queues) AS queues, count(*) AS consumers, "
    "sum(l.worker_count)::int AS slots FROM {schema}.que_lockers l "
    "JOIN pg_stat_activity a ON a.pid = l.pid GROUP BY 1",
    needs=("que_lockers",),
)
