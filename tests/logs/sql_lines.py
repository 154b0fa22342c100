"""Lines of PostgreSQL's stderr log, as strategies draw them."""

from hypothesis import strategies as st

SESSIONS = ("101", "102", "103")
STATEMENTS = (
    "SELECT * FROM book WHERE id = $1",
    "SELECT * FROM author WHERE name = 'O''Hara'",
    "UPDATE t SET n = n + 1\n\tWHERE id IN (1, 2, 3)",
    "SELECT 1 /* traceparent='00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01' */",
)
OTHERS = (
    "LOG:  connection received: host=10.0.0.1 port=4711",
    "LOG:  connection authorized: user=bob database=shop",
    "LOG:  disconnection: session time: 0:00:01.250 user=bob database=shop host=10.0.0.1",
    "LOG:  checkpoint starting: time",
    "LOG:  checkpoint complete: wrote 12 buffers (0.1%); total=1.250 s; longest=0.250 s",
    "FATAL:  sorry, too many clients already",
    'ERROR:  relation "nix" does not exist',
    "LOG:  process 101 still waiting for ShareLock on transaction 7 after 1000.123 ms",
    "LOG:  process 101 acquired ShareLock on transaction 7 after 2000.123 ms",
    'LOG:  temporary file: path "base/pgsql_tmp/pgsql_tmp1.0", size 1000',
    'LOG:  automatic vacuum of table "shop.public.book": index scans: 1, elapsed: 1.25 s',
)


def head(second: int, session: str) -> str:
    return f"2026-11-24 10:{second // 60:02}:{second % 60:02}.{second % 1000:03} UTC [{session}] "


@st.composite
def message(draw: st.DrawFn, second: int) -> str:
    """One message with all of its lines."""
    session = draw(st.sampled_from(SESSIONS))
    start = head(second, session)
    kind = draw(st.sampled_from(("parse", "bind", "execute", "statement", "plan", "bare",
                                 "spoken", "other")))  # fmt: skip
    micros = draw(st.integers(0, 5_000_000))
    time = f"{micros // 1000}.{micros % 1000:03}"
    text = draw(st.sampled_from(STATEMENTS))
    match kind:
        case "other":
            return f"{start}{draw(st.sampled_from(OTHERS))}\n{start}STATEMENT:  {text}\n"
        case "plan":
            plan = f"plan:\n\tQuery Text: {text}\n\tResult  (cost=0.00..0.01 rows=1)"
            return f"{start}LOG:  duration: {time} ms  {plan}\n"
        case "bare":
            return f"{start}LOG:  duration: {time} ms\n"
        case "spoken":
            return f"{start}LOG:  statement: {text}\n"
        case "statement":
            return f"{start}LOG:  duration: {time} ms  statement: {text}\n"
    lines = f"{start}LOG:  duration: {time} ms  {kind} <unnamed>: {text}\n"
    return lines + (f"{start}DETAIL:  parameters: $1 = '7'\n" if kind != "parse" else "")


@st.composite
def log(draw: st.DrawFn, most: int = 40) -> list[str]:
    """The messages of a log in order."""
    count = draw(st.integers(1, most))
    seconds = sorted(draw(st.lists(st.integers(0, 400), min_size=count, max_size=count)))
    return [draw(message(second)) for second in seconds]
