"""pgmq: a table for each queue, q_NAME in the schema pgmq; a message that was read is hidden."""

from scaledoctor.sources.postgres.queues._family import Family, Part

PREFIX = "q_"

PGMQ = Family(
    system="pgmq",
    table=PREFIX,
    columns=("msg_id", "read_ct", "enqueued_at", "vt"),
    queue="{name}",
    parts=(
        Part(
            "CASE WHEN vt <= clock_timestamp() THEN 'ready' "
            "WHEN read_ct > 0 THEN 'in_flight' ELSE 'scheduled' END",
            # One that was put in with a delay waits from the end of that.
            since="CASE WHEN read_ct > 0 THEN enqueued_at ELSE greatest(enqueued_at, vt) END",
        ),
    ),
    words=("pgmq.read", "pgmq.pop", "pgmq.q_"),
    schema="pgmq",
)
