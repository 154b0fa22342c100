"""N+1 and what only looks like it, on plain calls."""

import pytest

from scaledoctor.logs.nplusone.found import Found
from scaledoctor.logs.nplusone.judging import Grade, Pattern
from scaledoctor.logs.nplusone.report import repeated
from scaledoctor.logs.sql.calls import Unit
from scaledoctor.redact import Redactor
from tests.logs.streams import CUSTOMER, ORDERS, Stream, fed

CHILD = b"SELECT * FROM customer WHERE id = ?"
PARENT = b"SELECT id, customer_id FROM orders WHERE status = ?"


def only(stream: Stream) -> Found:
    """The one thing that is found."""
    (one,) = stream.found()
    return one


def test_a_list_and_a_look_up_for_each_of_its_rows() -> None:
    """Child, parent and n are right, request by request."""
    stream = Stream()
    for n in (5, 8, 30):
        stream.page(n).rest()
    one = only(stream)
    assert (one.pattern, one.child, one.parent) == (Pattern.N_PLUS_ONE, CHILD, PARENT)
    assert one.spread == {5: 1, 8: 1, 30: 1}
    assert (one.requests, one.calls, one.grades) == (3, 43, {Grade.HIGH: 3})


def test_four_are_few() -> None:
    """The edge of what counts as repeated."""
    assert not Stream().page(4).found()
    assert only(Stream().page(5)).calls == 5


def test_nested_lists_have_their_own_parents() -> None:
    """Author, its books, each book's publisher."""
    stream = Stream().run("SELECT * FROM author")
    for author in range(5):
        stream.run(f"SELECT * FROM book WHERE author_id = {author}")
        stream.run(*(f"SELECT * FROM publisher WHERE id = {author * 9 + n}" for n in range(4)))
    publisher, book = stream.found()
    assert (publisher.parent, publisher.calls) == (b"SELECT * FROM book WHERE author_id = ?", 20)
    assert (book.parent, book.calls) == (b"SELECT * FROM author", 5)


def test_a_busy_connection_holds_many_requests() -> None:
    """Without pauses the parents tell how many requests there were."""
    stream = Stream()
    for _ in range(20):
        stream.page(7)
    assert only(stream).spread == {7: 20}


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_a_transaction_is_one_request(end: str) -> None:
    """It is certain whose statements they are, behind a pooler too."""
    stream = Stream()
    for _ in range(3):
        stream.run("BEGIN").page(6).run(end)
    one = only(stream)
    assert (one.sure, one.requests, one.spread) == (3, 3, {6: 3})


def test_statements_of_one_trace_may_be_slow_and_mixed() -> None:
    """Two traces on one connection, with pauses longer than any gap rule allows."""
    stream = Stream(Unit.TRACE)
    stream.run(ORDERS, key="a", tag="/orders").run(ORDERS, key="b", tag="/orders")
    for n in range(6):
        stream.run(CUSTOMER.format(n), key="a", gap=0.05, tag="/orders")
        stream.run(CUSTOMER.format(n), key="b", gap=0.05, tag="/orders")
    one = only(stream)
    assert (one.spread, one.tag, one.sure) == ({6: 2}, b"/orders", 2)


@pytest.mark.parametrize(
    ("gap", "grade"),
    [(0.0095, Grade.HIGH), (0.011, Grade.MEDIUM), (0.049, Grade.MEDIUM), (0.052, Grade.LOW),
     (0.119, Grade.LOW)],
)  # fmt: skip
def test_the_gap_says_how_sure_it_is(gap: float, grade: Grade) -> None:
    """A template may render between two look-ups."""
    stream = Stream().run(ORDERS)
    stream.run(*(CUSTOMER.format(n) for n in range(6)), gap=gap)
    assert only(stream).grades == {grade: 1}


def test_a_wide_gap_is_no_loop() -> None:
    """121 ms between two look-ups."""
    stream = Stream().run(ORDERS)
    assert not stream.run(*(CUSTOMER.format(n) for n in range(9)), gap=0.122).found()


def test_parameters_are_values() -> None:
    """A prepared statement has the same text each time."""
    stream = Stream().run(ORDERS)
    for n in range(6):
        stream.run("SELECT * FROM customer WHERE id = $1", parameters=f"$1 = '{n}'")
    assert only(stream).constant == 0


def test_values_that_the_log_lacks_lower_the_grade() -> None:
    """log_parameter_max_length = 0: it may be the same value each time."""
    stream = Stream().run(ORDERS).run(*["SELECT * FROM customer WHERE id = $1"] * 6)
    assert only(stream).grades == {Grade.MEDIUM: 1}


def test_the_same_key_for_each_row_is_constant() -> None:
    """One currency for all orders."""
    one = only(Stream().run(ORDERS).run(*["SELECT * FROM currency WHERE code = 'EUR'"] * 6))
    assert (one.constant, one.grades) == (1, {Grade.MEDIUM: 1})


def test_keys_from_elsewhere_in_one_transaction() -> None:
    """No parent, but ten look-ups in a row that belong together."""
    stream = Stream().run("BEGIN", *(CUSTOMER.format(n) for n in range(10)), "COMMIT")
    assert (only(stream).parent, only(stream).grades) == (b"", {Grade.MEDIUM: 1})
    assert not Stream().run("BEGIN", *(CUSTOMER.format(n) for n in range(9)), "COMMIT").found()


def test_the_same_question_again_and_again() -> None:
    """Ten times in one request: a duplicate."""
    same = ["SELECT * FROM settings WHERE name = 'theme'"]
    assert only(Stream(Unit.TRACE).run(*same * 10)).pattern is Pattern.DUPLICATE
    assert not Stream(Unit.TRACE).run(*same * 9).found()


def test_writes_row_by_row() -> None:
    """Ten in one transaction."""
    rows = [f"INSERT INTO line (order_id, n) VALUES (1, {n})" for n in range(10)]
    assert only(Stream().run("BEGIN", *rows, "COMMIT")).pattern is Pattern.WRITES
    assert not Stream().run("BEGIN", *rows[:9], "COMMIT").found()


def test_a_transaction_for_each_row() -> None:
    """Twenty of them in one request."""
    stream = Stream(Unit.TRACE)
    for n in range(20):
        stream.run("BEGIN", f"UPDATE line SET n = {n} WHERE id = {n}", "COMMIT")
    assert only(stream).pattern is Pattern.TRANSACTIONS


def test_the_line_of_code_is_the_earliest() -> None:
    """Where the log names it."""
    stream = Stream().run(ORDERS)
    stream.run(*(CUSTOMER.format(n) for n in range(6)), line="app/views.py:12")
    one = only(stream)
    assert one.line is not None
    assert one.line[1] == b"app/views.py:12"


@pytest.mark.parametrize(("begin", "grade"), [(False, Grade.LOW), (True, Grade.MEDIUM)])
def test_times_of_whole_seconds_tell_no_gap(begin: bool, grade: Grade) -> None:
    """A prefix with %t: the transaction alone makes it likely."""
    stream = Stream().run("SELECT 1", gap=0.0, seconds=0.0)
    texts = [ORDERS, *(CUSTOMER.format(n) for n in range(6))]
    stream.run(*(["BEGIN", *texts, "COMMIT"] if begin else texts), gap=0.0, seconds=0.0)
    stream.rest(1.0).run("SELECT 1", gap=0.0, seconds=0.0, key="s2")
    told = repeated(fed(stream.calls, stream.templates.names), Redactor(), live=False)
    assert told.found[0].grade == grade


def test_the_user_who_asks_is_looked_up_like_the_owner_of_each_row() -> None:
    """A look-up beside that one still belongs to the list."""
    stream = Stream()
    for first in (0, 50):
        stream.run("SELECT * FROM owner WHERE id = 0", ORDERS)
        for n in range(first, first + 8):
            stream.run(f"SELECT * FROM owner WHERE id = {n}", CUSTOMER.format(n))
        stream.rest()
    assert only(stream).spread == {8: 2}


def test_a_new_second_within_a_list_is_no_pause() -> None:
    """Of times without fractions; the second one of silence is a pause."""
    stream = Stream().run(ORDERS, *(CUSTOMER.format(n) for n in range(8)), gap=0.0, seconds=0.0)
    stream.rest(1.0).run(*(CUSTOMER.format(n) for n in range(9)), gap=0.0, seconds=0.0)
    assert only(stream).spread == {17: 1}
    stream.rest(2.0).run(*(CUSTOMER.format(n) for n in range(9)), gap=0.0, seconds=0.0)
    assert only(stream).spread == {17: 1}


@pytest.mark.parametrize("seconds", [0.0001, None])
def test_no_more_is_saved_than_was_spent(seconds: float | None) -> None:
    """Where clocks are coarse, gaps sum up to less than their median says."""
    stream = Stream().run(ORDERS)
    stream.run(*(CUSTOMER.format(n) for n in range(20)), gap=-0.00005, seconds=seconds)
    (one,) = repeated(stream.runs(), Redactor(), live=False).found
    assert one.saved <= one.held


def test_exists_is_a_look_up() -> None:
    """A SELECT that has no FROM of its own."""
    stream = Stream().page(8, child="SELECT EXISTS (SELECT 1 FROM line WHERE order_id = {})")
    assert (only(stream).calls, only(stream).parent) == (8, PARENT)


def eager(s: Stream) -> None:
    """The list and one look-up of all its rows."""
    s.run(ORDERS, "SELECT * FROM customer WHERE id IN (1, 2, 3, 4, 5, 6)")


def batches(s: Stream) -> None:
    """prefetch in chunks."""
    s.run(ORDERS)
    for n in range(0, 60, 3):
        s.run(f"SELECT * FROM customer WHERE id IN ({n}, {n + 1}, {n + 2})")


def arrays(s: Stream) -> None:
    """The same with an array, whose text is one parameter."""
    s.run(ORDERS)
    for n in range(9):
        s.run("SELECT * FROM customer WHERE id = ANY($1)", parameters=f"$1 = '{{{n},{n + 1}}}'")


def pagination(s: Stream) -> None:
    """OFFSET grows."""
    s.run("SELECT * FROM shop")
    for n in range(0, 900, 100):
        s.run(f"SELECT * FROM orders ORDER BY id LIMIT 100 OFFSET {n}")


def keyset(s: Stream) -> None:
    """find_each: the key is compared by >."""
    s.run("SELECT * FROM shop")
    for n in range(0, 900, 100):
        s.run(f"SELECT * FROM orders WHERE id > {n} ORDER BY id LIMIT 100")


def polling(s: Stream) -> None:
    """The same question every second."""
    for _ in range(30):
        s.run("SELECT * FROM jobs WHERE state = 'new' ORDER BY id LIMIT 10").rest(1.0)


def busy_polling(s: Stream) -> None:
    """The same question without a pause."""
    s.run(*["SELECT * FROM jobs WHERE state = 'new' ORDER BY id LIMIT 10"] * 99)


def health_checks(s: Stream) -> None:
    """SELECT 1 before each request."""
    for n in range(50):
        s.run("SELECT 1", CUSTOMER.format(n)).rest(0.05)


def keep_alive(s: Stream) -> None:
    """Three routes on one connection, as often each."""
    for n in range(150):
        s.run(CUSTOMER.format(n), f"SELECT * FROM product WHERE id = {n}", gap=0.004)
        s.run(f"SELECT * FROM cart WHERE customer_id = {n}", gap=0.004)


def catalogue(s: Stream) -> None:
    """What ORMs ask when they start."""
    s.run("SELECT * FROM pg_class WHERE relkind = 'r'")
    s.run(*(f"SELECT * FROM pg_index WHERE indrelid = {n}" for n in range(30)))


def rows_at_once(s: Stream) -> None:
    """One INSERT of many rows, a hundred times."""
    s.run("BEGIN")
    s.run(*(f"INSERT INTO line (a, b) VALUES ({n}, 1), ({n}, 2)" for n in range(100)))
    s.run("COMMIT")


def events(s: Stream) -> None:
    """One write per request on a busy connection."""
    s.run(*(f"INSERT INTO event (kind) VALUES ({n})" for n in range(200)), gap=0.004)


def small_transactions(s: Stream) -> None:
    """The same with a transaction for each."""
    for n in range(100):
        s.run("BEGIN", f"UPDATE cart SET n = 1 WHERE id = {n}", "COMMIT")


def pgbench(s: Stream) -> None:
    """TPC-B-like, and then -S."""
    for n in range(100):
        s.run("BEGIN", f"UPDATE pgbench_accounts SET abalance = abalance + {n} WHERE aid = {n}",
              f"SELECT abalance FROM pgbench_accounts WHERE aid = {n}",
              f"UPDATE pgbench_tellers SET tbalance = tbalance + {n} WHERE tid = {n}",
              f"INSERT INTO pgbench_history (tid, aid) VALUES ({n}, {n})", "END")  # fmt: skip
    s.run("select count(*) from pgbench_branches")
    s.run(*(f"SELECT abalance FROM pgbench_accounts WHERE aid = {n}" for n in range(500)))


def one_each(s: Stream) -> None:
    """A list and one look-up, on a connection that never rests."""
    for n in range(100):
        s.run(ORDERS, CUSTOMER.format(n))


def mixed_requests(s: Stream) -> None:
    """Each request asks for its session first; every seventh shows the list."""
    for n in range(140):
        s.run(f"SELECT uid FROM session WHERE id = {n}")
        s.run(CUSTOMER.format(n) if n % 7 else ORDERS)


QUIET = [eager, batches, arrays, pagination, keyset, polling, busy_polling, health_checks,
         keep_alive, catalogue, rows_at_once, events, small_transactions, pgbench,
         one_each, mixed_requests]  # fmt: skip


@pytest.mark.parametrize("scene", QUIET, ids=lambda scene: scene.__name__)
@pytest.mark.parametrize("unit", [Unit.SESSION, Unit.CLIENT])
def test_what_only_looks_like_it(unit: Unit, scene: object) -> None:
    """A false alarm is worse than silence."""
    assert callable(scene)
    stream = Stream(unit)
    scene(stream)
    assert not stream.found()


@pytest.mark.parametrize("unit", [Unit.SESSION, Unit.CLIENT])
def test_look_ups_of_others_speak_against_a_parent(unit: Unit) -> None:
    """Many look-ups by key, and now and then a list before them."""
    stream = Stream(unit)
    for n in range(20):
        if n == 7:
            stream.run(ORDERS)
        stream.run(*(CUSTOMER.format(n * 20 + k) for k in range(12)), gap=0.004).rest()
    runs = stream.runs()
    (one,) = runs.found.values()
    assert one.calls == 12
    assert runs.orphaned == {CHILD: 19 * 12}
    assert repeated(runs, Redactor(), live=False).found[0].grade == Grade.LOW
