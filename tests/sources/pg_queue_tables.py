"""The tables of libraries that keep queues in PostgreSQL, for tests, and a few jobs in each.

Each schema is written after the library's own public migrations (pgmq, Oban, River, Que, GoodJob,
Solid Queue, delayed_job, graphile-worker, pg-boss), with the columns and indexes that matter to
whoever counts its jobs. ``READY`` and ``OLDEST`` are the library's own way to count them.
"""

from dataclasses import dataclass

STATES = "'available', 'scheduled', 'executing', 'retryable', 'completed', 'discarded', 'cancelled'"


@dataclass(frozen=True, slots=True)
class Library:
    """``ddl`` makes its tables, ``jobs`` puts jobs in; ``own`` gives (ready, age of the oldest).

    The numbers that must be found: in flight, scheduled, retrying, dead, stuck, consumers, slots.
    ``call`` puts one more job into the same queue.
    """

    label: str
    ddl: str
    jobs: str
    own: str
    call: str
    in_flight: int | None = 0
    scheduled: int | None = 0
    retrying: int | None = 0
    dead: int | None = 0
    stuck: int | None = None
    consumers: int | None = None
    slots: int | None = None
    paused: bool = False


PGMQ = Library(
    "pgmq mail",
    """
    CREATE SCHEMA pgmq;
    CREATE TABLE pgmq.q_mail (
        msg_id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, read_ct int DEFAULT 0 NOT NULL,
        enqueued_at timestamptz DEFAULT now() NOT NULL, vt timestamptz NOT NULL,
        message jsonb, headers jsonb);
    CREATE INDEX ON pgmq.q_mail (vt);
    """,
    """
    INSERT INTO pgmq.q_mail (enqueued_at, vt, read_ct)
    SELECT now() - i * interval '10 s', now() - i * interval '10 s', 0
    FROM generate_series(1, 7) i;
    INSERT INTO pgmq.q_mail (vt, read_ct) VALUES
        (now() + interval '30 s', 1), (now() + interval '1 h', 0), (now() + interval '1 h', 0);
    """,
    # queue_visible_length and the like of pgmq.metrics()
    """
    SELECT count(*) FILTER (WHERE vt <= now()),
           extract(epoch FROM now() - min(enqueued_at))::float8 FROM pgmq.q_mail
    """,
    "INSERT INTO pgmq.q_mail (vt) VALUES (now())",
    in_flight=1,
    scheduled=2,
    retrying=None,
    dead=None,
)

OBAN = Library(
    "oban mail",
    f"""
    CREATE TYPE oban_job_state AS ENUM ({STATES});
    CREATE TABLE oban_jobs (
        id bigserial PRIMARY KEY, state oban_job_state NOT NULL DEFAULT 'available',
        queue text NOT NULL DEFAULT 'default', args jsonb,
        inserted_at timestamp NOT NULL DEFAULT timezone('UTC', now()),
        scheduled_at timestamp NOT NULL DEFAULT timezone('UTC', now()),
        attempted_at timestamp, discarded_at timestamp, priority int NOT NULL DEFAULT 0);
    CREATE INDEX ON oban_jobs (state, queue, priority, scheduled_at, id);
    CREATE UNLOGGED TABLE oban_peers (name text PRIMARY KEY, node text, started_at timestamp,
        expires_at timestamp NOT NULL);
    """,
    """
    INSERT INTO oban_jobs (queue, state, scheduled_at)
    SELECT 'mail', 'available', timezone('UTC', now()) - i * interval '10 s'
    FROM generate_series(1, 7) i;
    INSERT INTO oban_jobs (queue, state, attempted_at) VALUES
        ('mail', 'executing', timezone('UTC', now())), ('mail', 'retryable', NULL),
        ('mail', 'scheduled', NULL), ('mail', 'scheduled', NULL), ('mail', 'discarded', NULL),
        ('mail', 'completed', NULL);
    INSERT INTO oban_peers VALUES ('Oban', 'n', NULL, timezone('UTC', now()) - interval '1 min');
    """,
    """
    SELECT count(*), extract(epoch FROM timezone('UTC', now()) - min(scheduled_at))::float8
    FROM oban_jobs WHERE state = 'available' AND queue = 'mail'
    """,
    "INSERT INTO oban_jobs (queue) VALUES ('mail')",
    in_flight=1,
    scheduled=2,
    retrying=1,
    dead=1,
    consumers=0,
)

RIVER = Library(
    "river mail",
    f"""
    CREATE TYPE river_job_state AS ENUM ({STATES.replace("executing", "running")});
    CREATE TABLE river_job (
        id bigserial PRIMARY KEY, state river_job_state NOT NULL DEFAULT 'available',
        args jsonb, attempted_at timestamptz, finalized_at timestamptz,
        scheduled_at timestamptz NOT NULL DEFAULT now(), priority int NOT NULL DEFAULT 1,
        queue text NOT NULL DEFAULT 'default');
    CREATE INDEX ON river_job (state, queue, priority, scheduled_at, id);
    CREATE UNLOGGED TABLE river_leader (name text PRIMARY KEY, leader_id text, expires_at
        timestamptz NOT NULL);
    CREATE TABLE river_queue (name text PRIMARY KEY, paused_at timestamptz);
    """,
    """
    INSERT INTO river_job (queue, scheduled_at)
    SELECT 'mail', now() - i * interval '10 s' FROM generate_series(1, 7) i;
    INSERT INTO river_job (queue, state, attempted_at) VALUES ('mail', 'running', now()),
        ('mail', 'scheduled', NULL), ('mail', 'discarded', NULL), ('mail', 'completed', NULL);
    INSERT INTO river_leader VALUES ('default', 'n', now() + interval '1 min');
    INSERT INTO river_queue VALUES ('mail', now());
    """,
    """
    SELECT count(*), extract(epoch FROM now() - min(scheduled_at))::float8
    FROM river_job WHERE state = 'available' AND queue = 'mail'
    """,
    "INSERT INTO river_job (queue) VALUES ('mail')",
    in_flight=1,
    scheduled=1,
    dead=1,
    paused=True,
)

QUE = Library(
    "que mail",
    """
    CREATE TABLE que_jobs (
        priority smallint NOT NULL DEFAULT 100, run_at timestamptz NOT NULL DEFAULT now(),
        id bigserial PRIMARY KEY, job_class text, error_count int NOT NULL DEFAULT 0,
        queue text NOT NULL DEFAULT 'default', args jsonb,
        finished_at timestamptz, expired_at timestamptz);
    CREATE INDEX ON que_jobs (queue, priority, run_at, id)
        WHERE finished_at IS NULL AND expired_at IS NULL;
    CREATE UNLOGGED TABLE que_lockers (pid int PRIMARY KEY, worker_count int, queues text[]);
    """,
    """
    INSERT INTO que_jobs (queue, run_at)
    SELECT 'mail', now() - i * interval '10 s' FROM generate_series(1, 7) i;
    INSERT INTO que_jobs (queue, run_at, error_count, expired_at) VALUES
        ('mail', now() + interval '1 h', 0, NULL), ('mail', now() + interval '1 h', 2, NULL),
        ('mail', now(), 9, now());
    INSERT INTO que_lockers VALUES (pg_backend_pid(), 6, '{mail,low}'), (1, 6, '{mail}');
    SELECT pg_advisory_lock(1);
    """,
    """
    SELECT count(*), extract(epoch FROM now() - min(run_at))::float8 FROM que_jobs
    WHERE finished_at IS NULL AND expired_at IS NULL AND run_at <= now() AND queue = 'mail'
      AND id NOT IN (SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory')
    """,
    "INSERT INTO que_jobs (queue) VALUES ('mail')",
    in_flight=1,
    scheduled=1,
    retrying=1,
    dead=1,
    consumers=1,
    slots=6,
)

GOOD_JOB = Library(
    "good_job mail",
    """
    CREATE TABLE good_jobs (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(), queue_name text, priority int,
        serialized_params jsonb, scheduled_at timestamp, performed_at timestamp,
        finished_at timestamp, error text, created_at timestamp NOT NULL DEFAULT
        timezone('UTC', now()));
    CREATE INDEX ON good_jobs (priority, created_at) WHERE finished_at IS NULL;
    CREATE TABLE good_job_processes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        updated_at timestamp NOT NULL, state jsonb);
    """,
    """
    INSERT INTO good_jobs (queue_name, scheduled_at)
    SELECT 'mail', timezone('UTC', now()) - i * interval '10 s' FROM generate_series(1, 7) i;
    INSERT INTO good_jobs (queue_name, scheduled_at, performed_at, finished_at, error) VALUES
        ('mail', NULL, timezone('UTC', now()), NULL, NULL),
        ('mail', timezone('UTC', now()) + interval '1 h', NULL, NULL, NULL),
        ('mail', timezone('UTC', now()) + interval '1 h', NULL, NULL, 'it failed'),
        ('mail', NULL, timezone('UTC', now()), timezone('UTC', now()), 'it failed'),
        ('mail', NULL, timezone('UTC', now()), timezone('UTC', now()), NULL);
    INSERT INTO good_job_processes (updated_at) VALUES (timezone('UTC', now())),
        (timezone('UTC', now()) - interval '6 min');
    """,
    """
    SELECT count(*), extract(epoch FROM timezone('UTC', now())
                             - min(coalesce(scheduled_at, created_at)))::float8
    FROM good_jobs WHERE finished_at IS NULL AND performed_at IS NULL
      AND coalesce(scheduled_at, created_at) <= timezone('UTC', now())
    """,
    "INSERT INTO good_jobs (queue_name) VALUES ('mail')",
    in_flight=1,
    scheduled=1,
    retrying=1,
    dead=1,
    consumers=1,
)

SOLID_QUEUE = Library(
    "solid_queue mail",
    """
    CREATE TABLE solid_queue_jobs (id bigserial PRIMARY KEY, queue_name text NOT NULL,
        arguments text, finished_at timestamp);
    CREATE TABLE solid_queue_ready_executions (id bigserial PRIMARY KEY, job_id bigint NOT NULL,
        queue_name text NOT NULL, priority int NOT NULL DEFAULT 0,
        created_at timestamp NOT NULL DEFAULT timezone('UTC', now()));
    CREATE TABLE solid_queue_claimed_executions (id bigserial PRIMARY KEY, job_id bigint NOT NULL,
        process_id bigint, created_at timestamp NOT NULL DEFAULT timezone('UTC', now()));
    CREATE TABLE solid_queue_scheduled_executions (id bigserial PRIMARY KEY, job_id bigint,
        queue_name text NOT NULL, scheduled_at timestamp);
    CREATE TABLE solid_queue_failed_executions (id bigserial PRIMARY KEY, job_id bigint);
    CREATE TABLE solid_queue_processes (id bigserial PRIMARY KEY, kind text NOT NULL,
        last_heartbeat_at timestamp NOT NULL, metadata text);
    CREATE TABLE solid_queue_pauses (id bigserial PRIMARY KEY, queue_name text NOT NULL);
    """,
    """
    INSERT INTO solid_queue_jobs (queue_name) SELECT 'mail' FROM generate_series(1, 12);
    INSERT INTO solid_queue_ready_executions (job_id, queue_name, created_at)
    SELECT i, 'mail', timezone('UTC', now()) - i * interval '10 s' FROM generate_series(1, 7) i;
    INSERT INTO solid_queue_claimed_executions (job_id, process_id) VALUES (8, 1), (9, 99);
    INSERT INTO solid_queue_scheduled_executions (job_id, queue_name) VALUES (10, 'mail');
    INSERT INTO solid_queue_failed_executions (job_id) VALUES (11);
    INSERT INTO solid_queue_processes (kind, last_heartbeat_at, metadata) VALUES
        ('Worker', timezone('UTC', now()), '{"queues":"ma*,low","thread_pool_size":3}'),
        ('Worker', timezone('UTC', now()), '{"queues":"other","thread_pool_size":3}'),
        ('Dispatcher', timezone('UTC', now()), '{}');
    """,
    """
    SELECT count(*), extract(epoch FROM timezone('UTC', now()) - min(created_at))::float8
    FROM solid_queue_ready_executions WHERE queue_name = 'mail'
    """,
    "INSERT INTO solid_queue_ready_executions (job_id, queue_name) VALUES (12, 'mail')",
    in_flight=2,
    scheduled=1,
    retrying=None,
    dead=1,
    stuck=1,
    consumers=1,
    slots=3,
)

DELAYED_JOB = Library(
    "delayed_job mail",
    """
    CREATE TABLE delayed_jobs (id bigserial PRIMARY KEY, priority int NOT NULL DEFAULT 0,
        attempts int NOT NULL DEFAULT 0, handler text, run_at timestamp, locked_at timestamp,
        failed_at timestamp, locked_by text, queue text);
    CREATE INDEX ON delayed_jobs (priority, run_at);
    """,
    """
    INSERT INTO delayed_jobs (queue, run_at)
    SELECT 'mail', timezone('UTC', now()) - i * interval '10 s' FROM generate_series(1, 7) i;
    INSERT INTO delayed_jobs (queue, run_at, locked_at, failed_at, attempts) VALUES
        ('mail', timezone('UTC', now()), timezone('UTC', now()), NULL, 0),
        ('mail', timezone('UTC', now()) + interval '1 h', NULL, NULL, 0),
        ('mail', timezone('UTC', now()) + interval '1 h', NULL, NULL, 3),
        ('mail', timezone('UTC', now()), NULL, timezone('UTC', now()), 9);
    """,
    """
    SELECT count(*), extract(epoch FROM timezone('UTC', now()) - min(run_at))::float8
    FROM delayed_jobs WHERE failed_at IS NULL AND locked_at IS NULL
      AND run_at <= timezone('UTC', now())
    """,
    "INSERT INTO delayed_jobs (queue, run_at) VALUES ('mail', timezone('UTC', now()))",
    in_flight=1,
    scheduled=1,
    retrying=1,
    dead=1,
)

GRAPHILE = Library(
    "graphile-worker mail",
    """
    CREATE SCHEMA graphile_worker;
    CREATE TABLE graphile_worker._private_tasks (id int PRIMARY KEY, identifier text NOT NULL);
    CREATE TABLE graphile_worker._private_jobs (
        id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, task_id int NOT NULL, payload json,
        priority smallint NOT NULL DEFAULT 0, run_at timestamptz NOT NULL DEFAULT now(),
        attempts smallint NOT NULL DEFAULT 0, max_attempts smallint NOT NULL DEFAULT 25,
        locked_at timestamptz, locked_by text, is_available boolean NOT NULL
        GENERATED ALWAYS AS (locked_at IS NULL AND attempts < max_attempts) STORED);
    CREATE INDEX ON graphile_worker._private_jobs (priority, run_at) WHERE is_available;
    """,
    """
    INSERT INTO graphile_worker._private_tasks VALUES (1, 'mail');
    INSERT INTO graphile_worker._private_jobs (task_id, run_at)
    SELECT 1, now() - i * interval '10 s' FROM generate_series(1, 7) i;
    INSERT INTO graphile_worker._private_jobs (task_id, run_at, attempts, locked_at) VALUES
        (1, now(), 1, now()), (1, now() + interval '1 h', 0, NULL),
        (1, now() + interval '1 h', 2, NULL), (1, now(), 25, NULL);
    """,
    """
    SELECT count(*), extract(epoch FROM now() - min(run_at))::float8
    FROM graphile_worker._private_jobs WHERE is_available AND run_at <= now()
    """,
    "INSERT INTO graphile_worker._private_jobs (task_id) VALUES (1)",
    in_flight=1,
    scheduled=1,
    retrying=1,
    dead=1,
)

PG_BOSS = Library(
    "pg-boss mail",
    """
    CREATE SCHEMA pgboss;
    CREATE TYPE pgboss.job_state AS ENUM
        ('created', 'retry', 'active', 'completed', 'cancelled', 'failed');
    CREATE TABLE pgboss.job (
        id uuid NOT NULL DEFAULT gen_random_uuid(), name text NOT NULL,
        priority int NOT NULL DEFAULT 0, data jsonb, state pgboss.job_state NOT NULL DEFAULT
        'created', retry_count int NOT NULL DEFAULT 0, start_after timestamptz NOT NULL DEFAULT
        now(), started_on timestamptz) PARTITION BY LIST (name);
    CREATE TABLE pgboss.jmail PARTITION OF pgboss.job FOR VALUES IN ('mail');
    CREATE INDEX ON pgboss.jmail (name, start_after) WHERE state < 'active';
    """,
    """
    INSERT INTO pgboss.job (name, start_after)
    SELECT 'mail', now() - i * interval '10 s' FROM generate_series(1, 7) i;
    INSERT INTO pgboss.job (name, state, retry_count, start_after, started_on) VALUES
        ('mail', 'active', 0, now(), now()), ('mail', 'created', 0, now() + interval '1 h', NULL),
        ('mail', 'retry', 1, now() + interval '1 h', NULL), ('mail', 'failed', 2, now(), NULL),
        ('mail', 'completed', 0, now(), now());
    """,
    """
    SELECT count(*), extract(epoch FROM now() - min(start_after))::float8
    FROM pgboss.job WHERE state < 'active' AND start_after <= now()
    """,
    "INSERT INTO pgboss.job (name) VALUES ('mail')",
    in_flight=1,
    scheduled=1,
    retrying=1,
    dead=1,
)

LIBRARIES = (
    PGMQ, OBAN, RIVER, QUE, GOOD_JOB, SOLID_QUEUE, DELAYED_JOB, GRAPHILE, PG_BOSS,
)  # fmt: skip
