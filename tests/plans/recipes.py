"""Statements with one known problem each, and a healthy twin of each."""

from dataclasses import dataclass

SETUP = """
CREATE TABLE customers (id int PRIMARY KEY, email text, country text, status text, created_at timestamptz)
INSERT INTO customers SELECT i, 'c' || i || '@example.com', (ARRAY['DE','FR','US','GB'])[1 + i % 4], CASE WHEN i % 50 = 0 THEN 'blocked' ELSE 'ok' END, '2025-01-01'::timestamptz + i * interval '5 minutes' FROM generate_series(1, 50000) i
CREATE INDEX customers_email ON customers (email text_pattern_ops)
CREATE TABLE orders (id int PRIMARY KEY, customer_id int, status text, total numeric, note text, created_at timestamptz)
INSERT INTO orders SELECT i, 1 + (i * 7001) % 50000, CASE WHEN i % 1000 = 0 THEN 'failed' WHEN i % 10 = 0 THEN 'open' ELSE 'paid' END, (i % 997)::numeric / 7, repeat('x', 60), '2025-01-01'::timestamptz + i * interval '1 minute' FROM generate_series(1, 300000) i
CREATE INDEX orders_created ON orders (created_at)
CREATE TABLE orders2 AS SELECT * FROM orders
CREATE INDEX ON orders2 (customer_id, total)
CREATE INDEX ON orders2 (status, created_at)
CREATE INDEX ON orders2 (lower(status), id)
CREATE TABLE items (order_id int, product int, n int)
INSERT INTO items SELECT 1 + i % 100000, i % 1000, i % 5 FROM generate_series(1, 300000) i
CREATE TABLE keyed AS SELECT * FROM items
CREATE INDEX ON keyed (order_id)
CREATE TABLE bloated (id int, note text) WITH (autovacuum_enabled = off)
INSERT INTO bloated SELECT i, repeat('y', 1500) FROM generate_series(1, 60000) i
DELETE FROM bloated WHERE id % 60 <> 0
CREATE TABLE lean AS SELECT * FROM bloated
CREATE TABLE stale (a int, b int) WITH (autovacuum_enabled = off)
CREATE INDEX ON stale (a)
ANALYZE stale
INSERT INTO stale SELECT 1, i FROM generate_series(1, 120000) i
CREATE TABLE parent (id int PRIMARY KEY)
INSERT INTO parent SELECT generate_series(1, 5000)
CREATE TABLE child (id int, parent_id int REFERENCES parent ON DELETE CASCADE)
INSERT INTO child SELECT i, 1 + i % 4000 FROM generate_series(1, 100000) i
CREATE TABLE parent2 (id int PRIMARY KEY)
INSERT INTO parent2 SELECT generate_series(1, 5000)
CREATE TABLE child2 (id int, parent_id int REFERENCES parent2 ON DELETE CASCADE)
INSERT INTO child2 SELECT i, 1 + i % 4000 FROM generate_series(1, 100000) i
CREATE INDEX ON child2 (parent_id)
CREATE TABLE events (day int, kind int, body text) PARTITION BY RANGE (day)
SELECT format('CREATE TABLE events_%s PARTITION OF events FOR VALUES FROM (%s) TO (%s)', d, d * 10, d * 10 + 10) FROM generate_series(0, 29) d
INSERT INTO events SELECT i % 300, i % 300, repeat('z', 200) FROM generate_series(1, 150000) i
CREATE TABLE flags (id int, on_sale bool)
INSERT INTO flags SELECT i, i % 3 = 0 FROM generate_series(1, 200000) i
CREATE TABLE fresh (id int PRIMARY KEY, v int) WITH (autovacuum_enabled = off)
INSERT INTO fresh SELECT i, i % 100 FROM generate_series(1, 200000) i
CREATE FUNCTION slow_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM count(*) FROM customers WHERE id < 2000; RETURN NEW; END $$
CREATE TABLE audited (id int)
CREATE TRIGGER audit AFTER INSERT ON audited FOR EACH ROW EXECUTE FUNCTION slow_trigger()
CREATE TABLE unaudited (id int)
VACUUM ANALYZE customers, orders, orders2, items, keyed, lean, parent, child, parent2, child2, events, flags
ANALYZE fresh
VACUUM bloated
"""  # noqa: E501  one statement a line


@dataclass(frozen=True, slots=True)
class Recipe:
    """A problem's id, a statement that has it, one that has not, and settings for either."""

    problem: str
    bad: str
    good: str
    settings: tuple[str, ...] = ()
    cure: tuple[str, ...] = ()


SERIAL = ("max_parallel_workers_per_gather = 0", "jit = off")

RECIPES = (
    Recipe(
        "seq-scan-selective-filter",
        "SELECT * FROM orders WHERE customer_id = 4242",
        "SELECT * FROM orders2 WHERE customer_id = 4242",
        SERIAL,
    ),
    Recipe(
        "seq-scan-selective-filter",
        "SELECT count(*) FROM orders WHERE status = 'failed'",
        "SELECT count(*) FROM orders WHERE status = 'paid'",
        ("jit = off", "min_parallel_table_scan_size = 0", "parallel_setup_cost = 0"),
    ),
    Recipe(
        "function-on-column",
        "SELECT * FROM orders WHERE lower(status) = 'failed'",
        "SELECT * FROM orders2 WHERE lower(status) = 'failed' AND id < 30000",
        SERIAL,
    ),
    Recipe(
        "implicit-cast",
        "SELECT * FROM orders WHERE id = 4242.0::numeric",
        "SELECT * FROM orders WHERE id = 4242",
        SERIAL,
    ),
    Recipe(
        "leading-wildcard",
        "SELECT * FROM orders WHERE note LIKE '%777@%'",
        "SELECT * FROM customers WHERE email LIKE 'c777%'",
        SERIAL,
    ),
    Recipe(
        "index-filter-waste",
        "SELECT * FROM orders WHERE created_at > '2025-02-01' AND customer_id = 7",
        "SELECT * FROM orders2 WHERE status = 'failed' AND created_at > '2025-02-01'",
        (*SERIAL, "enable_seqscan = on", "random_page_cost = 1", "seq_page_cost = 3"),
    ),
    Recipe(
        "wrong-index-for-order-by-limit",
        "SELECT * FROM orders WHERE status = 'failed' ORDER BY created_at LIMIT 60",
        "SELECT * FROM orders2 WHERE status = 'failed' ORDER BY created_at LIMIT 40",
        (*SERIAL, "random_page_cost = 1.1"),
    ),
    Recipe(
        "ios-heap-fetches",
        "SELECT count(id) FROM fresh WHERE id < 90000",
        "SELECT count(id) FROM orders WHERE id < 90000",
        (*SERIAL, "enable_seqscan = off", "enable_bitmapscan = off"),
    ),
    Recipe(
        "bitmap-lossy",
        "SELECT count(note) FROM orders2 WHERE customer_id BETWEEN 1 AND 20000",
        "SELECT count(note) FROM orders2 WHERE customer_id = 77",
        (*SERIAL, "work_mem = '64kB'", "enable_seqscan = off", "enable_indexscan = off",
         "enable_indexonlyscan = off"),
    ),
    Recipe(
        "offset-pagination",
        "SELECT * FROM orders ORDER BY id LIMIT 20 OFFSET 200000",
        "SELECT * FROM orders WHERE id > 200000 ORDER BY id LIMIT 20",
        SERIAL,
    ),
    Recipe(
        "nested-loop-inner-scan",
        "SELECT count(*) FROM lean l JOIN items i ON i.order_id = l.id WHERE l.id < 4000",
        "SELECT count(*) FROM lean l JOIN keyed i ON i.order_id = l.id WHERE l.id < 4000",
        (*SERIAL, "enable_hashjoin = off", "enable_mergejoin = off"),
    ),
    Recipe(
        "or-across-join",
        "SELECT count(*) FROM keyed i JOIN lean l ON i.order_id = l.id OR i.product = l.id "
        "WHERE i.order_id < 500",
        "SELECT count(*) FROM keyed i JOIN lean l ON i.order_id = l.id WHERE i.order_id < 500",
        SERIAL,
    ),
    Recipe(
        "cartesian-product",
        "SELECT count(*) FROM customers c, parent p WHERE c.id < 500",
        "SELECT count(*) FROM customers c JOIN parent p USING (id)",
        SERIAL,
    ),
    Recipe(
        "nested-loop-blowup",
        "SELECT count(*) FROM stale s JOIN orders o ON o.id = s.b WHERE s.a = 1",
        "SELECT count(*) FROM keyed s JOIN orders o ON o.id = s.order_id WHERE s.order_id < 300",
        SERIAL,
    ),
    Recipe(
        "cte-misestimate-nested-loop",
        "SELECT count(*) FROM unnest((SELECT array_agg(i) FROM generate_series(1, 90000) i)) AS "
        "u (id) JOIN orders o ON o.id = u.id",
        "SELECT count(*) FROM unnest(ARRAY[1, 2, 3]) AS u (id) JOIN orders o ON o.id = u.id",
        (*SERIAL, "enable_hashjoin = off", "enable_mergejoin = off", "enable_memoize = off"),
    ),
    Recipe(
        "correlated-subplan",
        "SELECT c.id, (SELECT count(*) FROM keyed k WHERE k.order_id = c.id) FROM customers c "
        "WHERE c.id < 20000",
        "SELECT c.id, count(k.*) FROM customers c LEFT JOIN keyed k ON k.order_id = c.id "
        "WHERE c.id < 20000 GROUP BY c.id",
        SERIAL,
    ),
    Recipe(
        "correlated-subplan",
        "SELECT p.id, (SELECT max(k.id) FROM child k WHERE k.parent_id = p.id) FROM parent p "
        "WHERE p.id < 130",
        "SELECT p.id, (SELECT max(k.id) FROM child2 k WHERE k.parent_id = p.id) FROM parent p "
        "WHERE p.id < 30",
        SERIAL,
    ),
    Recipe(
        "unhashed-subplan",
        "SELECT count(*) FROM customers WHERE id < 3000 AND id NOT IN (SELECT order_id FROM items)",
        "SELECT count(*) FROM customers c WHERE id < 3000 AND NOT EXISTS "
        "(SELECT FROM keyed i WHERE i.order_id = c.id)",
        (*SERIAL, "work_mem = '64kB'"),
    ),
    Recipe(
        "cte-scan-barrier",
        "WITH all_of AS MATERIALIZED (SELECT * FROM orders) SELECT * FROM all_of WHERE id = 7",
        "WITH all_of AS NOT MATERIALIZED (SELECT * FROM orders) SELECT * FROM all_of WHERE id = 7",
        (*SERIAL, "work_mem = '256MB'"),
    ),
    Recipe(
        "sort-spill",
        "SELECT * FROM orders ORDER BY total, note",
        "SELECT * FROM customers ORDER BY created_at",
        SERIAL,
        ("work_mem = '256MB'",),
    ),
    Recipe(
        "sort-spill",
        "SELECT * FROM orders ORDER BY note, total",
        "SELECT count(*) FROM orders",
        ("jit = off", "min_parallel_table_scan_size = 0", "parallel_setup_cost = 0",
         "parallel_tuple_cost = 0"),
    ),
    Recipe(
        "hash-spill",
        "SELECT count(*) FROM orders o JOIN orders2 p ON p.total = o.total AND p.id = o.id",
        "SELECT count(*) FROM items i JOIN customers c ON c.id = i.order_id",
        (*SERIAL, "work_mem = '1MB'", "enable_mergejoin = off", "enable_nestloop = off"),
        ("work_mem = '64MB'",),
    ),
    Recipe(
        "hashagg-spill",
        "SELECT customer_id, total, count(*) FROM orders GROUP BY 1, 2",
        "SELECT customer_id, count(*) FROM orders GROUP BY 1",
        (*SERIAL, "work_mem = '1MB'", "enable_sort = off"),
        ("work_mem = '64MB'",),
    ),
    Recipe(
        "read-inefficiency",
        "SELECT count(note) FROM bloated",
        "SELECT count(note) FROM lean",
        SERIAL,
    ),
    Recipe(
        "large-in-list",
        "SELECT count(*) FROM items WHERE product = ANY (ARRAY[{many}])",
        "SELECT count(*) FROM keyed WHERE order_id = ANY (ARRAY[1, 2, 3])",
        SERIAL,
    ),
    Recipe(
        "no-partition-pruning",
        "SELECT count(*) FROM events WHERE kind = 7",
        "SELECT count(*) FROM events WHERE day = 7",
        SERIAL,
    ),
    Recipe(
        "fk-trigger-unindexed",
        "DELETE FROM parent WHERE id > 4970",
        "DELETE FROM parent2 WHERE id > 4970",
        SERIAL,
    ),
    Recipe(
        "trigger-time",
        "INSERT INTO audited SELECT generate_series(1, 300)",
        "INSERT INTO unaudited SELECT generate_series(1, 300)",
        SERIAL,
    ),
    Recipe(
        "jit-overhead",
        "SELECT sum(total), count(note), max(created_at) FROM orders WHERE id < 3000 AND total > 1",
        "SELECT sum(total), count(note), max(created_at) FROM orders WHERE id < 3000",
        ("max_parallel_workers_per_gather = 0", "jit = on", "jit_above_cost = 0",
         "jit_inline_above_cost = 0", "jit_optimize_above_cost = 0"),
        ("jit = off",),
    ),
    Recipe(
        "workers-not-launched",
        "SELECT sum(total) FROM orders",
        "SELECT sum(total) FROM orders",
        ("jit = off", "min_parallel_table_scan_size = 0", "parallel_setup_cost = 0",
         "max_parallel_workers = 0"),
        ("max_parallel_workers = 8",),
    ),
    Recipe(
        "row-misestimate-under",
        "SELECT count(*), sum(length(t.note)) FROM (SELECT o.note FROM orders o WHERE "
        "substr(o.note, 1, 1) = 'x' OFFSET 0) t",
        "SELECT count(*), sum(length(t.note)) FROM (SELECT o.note FROM orders o OFFSET 0) t",
        SERIAL,
    ),
)  # fmt: skip
