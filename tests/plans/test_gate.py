"""No statement whatever gets through the gate and leaves a trace, whoever asks for it."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from scaledoctor.demo.servers import PostgresServer
from scaledoctor.errors import ScaledoctorError
from scaledoctor.sources.postgres.plans_ask import Answer, ask
from scaledoctor.targets.postgres import postgres_target

pytestmark = pytest.mark.live

SETUP = """
CREATE TABLE t (id int PRIMARY KEY, x text, n int)
INSERT INTO t SELECT i, 'x' || i, i % 7 FROM generate_series(1, 2000) i
CREATE TABLE audit (id int)
CREATE SEQUENCE s
CREATE FUNCTION evil(t) RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit VALUES (1); PERFORM pg_advisory_lock(7); RETURN 1; END $$
CREATE FUNCTION f_evil(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit VALUES (2); RETURN 1; END $$
CREATE FUNCTION f_lying(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM pg_advisory_lock(8); INSERT INTO audit VALUES (3); RETURN 1; END $$
CREATE FUNCTION f_stable(int) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM pg_advisory_lock(9); RETURN $1; END $$
CREATE FUNCTION f_sql(int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT pg_try_advisory_lock($1)::int $$
CREATE FUNCTION f_definer() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN DELETE FROM t; RETURN 1; END $$
CREATE FUNCTION f_set() RETURNS SETOF int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit VALUES (4); RETURN NEXT 1; END $$
CREATE FUNCTION op_evil(int, int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_lock($2); RETURN true; END $$
CREATE OPERATOR ?@@ (LEFTARG = int, RIGHTARG = int, FUNCTION = op_evil)
CREATE VIEW v_evil AS SELECT t.*, f_evil(id) AS y FROM t
CREATE VIEW v_builtin AS SELECT t.*, pg_try_advisory_lock(id) AS y FROM t
CREATE VIEW v_over AS SELECT * FROM v_evil
CREATE VIEW v_next AS SELECT nextval('s') AS y FROM t
CREATE VIEW v_op AS SELECT * FROM t WHERE n ?@@ 3
CREATE VIEW v_lying AS SELECT f_lying(1) AS y, n FROM t
CREATE VIEW v_plain AS SELECT id, x FROM t WHERE n > 2
CREATE AGGREGATE agg_evil (int) (SFUNC = int4pl, STYPE = int, FINALFUNC = f_lying)
CREATE DOMAIN d_evil AS int CHECK (f_lying(VALUE) = 1)
CREATE TYPE pair AS (a int, b int)
CREATE TABLE guarded (id int)
CREATE POLICY p ON guarded USING (f_evil(id) = 1)
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY
CREATE PROCEDURE proc() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit VALUES (5); END $$
CREATE FUNCTION "Pg_Sleep"(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_lock($1); RETURN 1; END $$
CREATE TYPE mood AS ENUM ('ok', 'bad')
CREATE TABLE moods (m mood, d d_evil)
SELECT lo_create(4711)
ANALYZE
"""  # noqa: E501  one statement a line

HARMFUL = """
INSERT INTO audit VALUES (9)
UPDATE t SET n = 0
DELETE FROM t
MERGE INTO t USING audit a ON t.id = a.id WHEN MATCHED THEN DELETE
TRUNCATE t
DROP TABLE t
CREATE TABLE made AS SELECT * FROM t
COPY t TO PROGRAM 'touch made'
CALL proc()
DO $$ BEGIN INSERT INTO audit VALUES (6); END $$
VACUUM t
LOCK TABLE t IN ACCESS EXCLUSIVE MODE
SET statement_timeout = 0
EXPLAIN ANALYZE DELETE FROM t
PREPARE p AS DELETE FROM t
SELECT 1; DELETE FROM t
SELECT 1; COMMIT; INSERT INTO audit VALUES (1)
COMMIT; DELETE FROM t
WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d
WITH a AS (WITH b AS (INSERT INTO audit VALUES (1) RETURNING 1) SELECT 1) SELECT * FROM a
SELECT * FROM t, LATERAL (SELECT t.id) z WHERE EXISTS (WITH u AS (UPDATE t SET n = 1 RETURNING 1) SELECT 1 FROM u)
SELECT * INTO made FROM t
SELECT * INTO TEMP made FROM t
SELECT * FROM t WHERE id = 1 FOR UPDATE
SELECT * FROM (SELECT * FROM t FOR SHARE) x
SELECT * FROM t WHERE id IN (SELECT id FROM t LIMIT 5 FOR UPDATE SKIP LOCKED)
SELECT nextval('s')
SELECT pg_catalog.nextval('s'), setval('s', 99)
SELECT pg_advisory_lock(1)
SELECT PG_ADVISORY_LOCK(1) FROM t
SELECT pg_try_advisory_lock_shared(1)
SELECT pg_advisory_xact_lock(1)
SELECT "pg_advisory_lock"(1)
SELECT CASE WHEN n > 100 THEN pg_advisory_lock(1)::text END FROM t
SELECT (SELECT pg_advisory_lock(3))
SELECT * FROM t ORDER BY pg_advisory_lock(id)::text
SELECT * FROM t WHERE id = 1 OR pg_advisory_lock(2) IS NULL
SELECT count(*) FILTER (WHERE pg_advisory_lock(1) IS NULL) FROM t
SELECT * FROM ROWS FROM (generate_series(1, 2), f_set()) AS z (a, b)
SELECT * FROM t LIMIT f_evil(1)
VALUES (f_evil(1))
SELECT query_to_xml('SELECT pg_advisory_lock(4)', true, true, '')
SELECT table_to_xml('v_builtin', true, true, '')
SELECT ts_stat('SELECT pg_advisory_lock(5)::text::tsvector')
SELECT c.evil FROM t c
SELECT (c).evil FROM t c
SELECT evil(c) FROM t c
SELECT c.evil AS z FROM (SELECT * FROM t) c
SELECT 99 ?@@ 1
SELECT 99 OPERATOR(public.?@@) 1
SELECT * FROM t WHERE id ?@@ ANY (ARRAY[1, 2])
SELECT f_evil(1)
SELECT f_lying(1)
SELECT * FROM t WHERE id = f_lying(1)
SELECT * FROM t WHERE id = f_stable(1)
SELECT * FROM t WHERE id = f_sql(6)
SELECT f_definer()
SELECT agg_evil(id) FROM t
SELECT 5::d_evil
SELECT CAST('5' AS d_evil)
SELECT '(1,2)'::pair
SELECT * FROM v_evil
SELECT * FROM v_over
SELECT * FROM v_builtin
SELECT count(y) FROM v_next
SELECT * FROM v_op
SELECT * FROM guarded
SELECT * FROM v_lying
SELECT * FROM v_lying WHERE y = 2
SELECT "Pg_Sleep"(1)
SELECT pg_sleep(3)
SELECT pg_notify('a', 'b')
SELECT pg_logical_emit_message(false, 'a', 'b')
SELECT txid_current()
SELECT pg_current_xact_id()
SELECT set_config('statement_timeout', '0', false)
SELECT set_config('transaction_read_only', 'off', true)
SELECT lo_create(77)
SELECT lo_unlink(4711)
SELECT lo_from_bytea(78, 'x')
SELECT lo_import('/etc/passwd')
SELECT pg_read_file('PG_VERSION')
SELECT pg_ls_dir('.')
SELECT pg_stat_reset()
SELECT pg_reload_conf()
SELECT pg_switch_wal()
SELECT pg_create_restore_point('x')
SELECT pg_create_physical_replication_slot('gate')
SELECT pg_create_logical_replication_slot('gate', 'test_decoding')
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()
SELECT pg_export_snapshot()
SELECT currval('s')
SELECT last_value FROM s
SELECT repeat('x', 900000000)
SELECT * FROM t TABLESAMPLE system_rows(5)
SELECT * FROM dblink('dbname=postgres', 'DELETE FROM t') AS z (i int)
WITH t AS (SELECT * FROM v_evil) SELECT * FROM t
SELECT * FROM t WHERE id = $1 AND pg_advisory_lock($2) IS NULL
/* ; */ SELECT pg_advisory_lock(1) -- ; SELECT 1
SELECT U&"pg_advisory_loc\\006b"(1)
SELECT E'\\'' || pg_advisory_lock(1)::text
"""  # noqa: E501  one statement a line

HARMLESS = """
SELECT * FROM t WHERE id = 7
SELECT count(*), max(x), now(), random() FROM t GROUP BY n
SELECT * FROM v_plain ORDER BY x LIMIT 3
SELECT '; DELETE FROM t' AS "delete from t"
SELECT m, d FROM moods WHERE m = 'ok'
SELECT * FROM t WHERE id = $1 AND x LIKE $2 LIMIT $3
SELECT a.id FROM t a JOIN t b USING (id) WHERE a.n BETWEEN 2 AND 3
WITH RECURSIVE r (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM r WHERE i < 9) SELECT sum(i) FROM r
SELECT x, row_number() OVER (PARTITION BY n ORDER BY id), lower(x) FROM t
SELECT date_trunc('day', now()), extract(epoch FROM now()), coalesce(x, 'a') FROM t
TABLE t
"""


def statements(text: str) -> list[str]:
    """One a line."""
    return text.strip().splitlines()


@pytest.fixture(scope="module")
def gate(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """A database with everything evil in it, a superuser and a role that reads all."""
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE gate")
        connection.execute("CREATE ROLE gate_reader LOGIN IN ROLE pg_read_all_data, pg_monitor")
    with psycopg.connect(postgres_server.dsn(dbname="gate"), autocommit=True) as connection:
        for line in statements(SETUP):
            connection.execute(line.encode())
    yield postgres_server
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        connection.execute("DROP DATABASE gate WITH (FORCE)")
        connection.execute("DROP ROLE gate_reader")


TRACES = """
SELECT (SELECT array_agg((id, x, n)::text ORDER BY id) FROM t),
       (SELECT count(*) FROM audit), (SELECT last_value::text || is_called FROM s),
       (SELECT count(*) FROM pg_largeobject_metadata),
       (SELECT count(*) FROM pg_replication_slots),
       (SELECT array_agg(relname ORDER BY relname) FROM pg_class
        WHERE relkind = 'r' AND oid >= 16384),
       (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),
       (SELECT count(*) FROM pg_prepared_xacts),
       (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database())
"""


def traces(server: PostgresServer) -> Any:
    """Everything that one of the statements could have left."""
    with psycopg.connect(server.dsn(dbname="gate"), autocommit=True) as connection:
        return connection.execute(TRACES.encode()).fetchone()


def asked(server: PostgresServer, statement: str, analyze: str, user: str) -> Answer | str:
    """What came of it: an answer, or the line with which it was refused."""
    try:
        return ask(postgres_target(server.dsn(user, "gate")), statement, analyze)
    except ScaledoctorError as error:
        return str(error)


def ran(found: Answer | str) -> bool:
    """Whether the statement itself was run."""
    return not isinstance(found, str) and found.plan.analysed


def test_the_table_is_long_enough() -> None:
    """At least 60 ways to do harm."""
    assert len(statements(HARMFUL)) >= 60


@pytest.mark.parametrize("user", ["postgres", pytest.param("gate_reader", marks=pytest.mark.slow)])
def test_nothing_harmful_is_run_and_nothing_is_left(gate: PostgresServer, user: str) -> None:
    """Not even when it is insisted on, by a superuser."""
    before = traces(gate)
    through = [s for s in statements(HARMFUL) if ran(asked(gate, s, "always", user))]
    assert through == []
    assert traces(gate) == before


def test_what_is_harmless_is_run_and_leaves_nothing(gate: PostgresServer) -> None:
    """A gate that lets nothing through proves nothing."""
    before = traces(gate)
    found = {s: asked(gate, s, "auto", "gate_reader") for s in statements(HARMLESS)}
    assert [(s, a) for s, a in found.items() if not ran(a)] == []
    assert traces(gate) == before


def test_a_superuser_and_never_run_nothing(gate: PostgresServer) -> None:
    """The role alone is a reason; the option is another."""
    refused = asked(gate, "SELECT * FROM t", "auto", "postgres")
    assert not isinstance(refused, str)
    assert not refused.plan.analysed
    assert "superuser" in refused.notes[-1]
    assert not ran(asked(gate, "SELECT * FROM t", "never", "gate_reader"))


@pytest.mark.parametrize("mode", ["ACCESS EXCLUSIVE", "SHARE"])
def test_a_table_that_somebody_locks_is_left_alone(gate: PostgresServer, mode: str) -> None:
    """Not even planned: the planner would wait, and others behind it."""
    with psycopg.connect(gate.dsn(dbname="gate")) as holder:
        holder.execute(f"LOCK TABLE t IN {mode} MODE".encode())
        found = asked(gate, "SELECT * FROM t", "always", "gate_reader")
        assert found == "--query: t is locked exclusively"


def test_a_server_in_distress_is_left_alone(gate: PostgresServer) -> None:
    """One session waits for a lock."""
    import threading

    with psycopg.connect(gate.dsn(dbname="gate")) as holder:
        holder.execute("UPDATE t SET n = n WHERE id = 1")
        with psycopg.connect(gate.dsn(dbname="gate")) as waiter:
            thread = threading.Thread(
                target=lambda: waiter.execute("UPDATE t SET n = n WHERE id = 1")
            )
            thread.start()
            with psycopg.connect(gate.dsn(), autocommit=True) as look:
                query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                while not (look.execute(query).fetchone() or (0,))[0]:
                    pass
            found = asked(gate, "SELECT * FROM t WHERE id = 2", "auto", "gate_reader")
            holder.rollback()
            thread.join(10)
            waiter.rollback()
    assert not isinstance(found, str)
    assert not found.plan.analysed
    assert "wait for locks" in found.notes[-1]
