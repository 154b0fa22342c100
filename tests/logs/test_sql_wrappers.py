"""Logs as collectors and clouds wrap them say what the server's own file says."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaledoctor.logs.sql.chunks import analyze_chunk, blocks
from scaledoctor.logs.sql.entry import Coverage, Layout
from scaledoctor.logs.sql.partial import Partial
from scaledoctor.logs.sql.recognise import format_of, recognise
from scaledoctor.logs.sql.wrappers import WRAPPERS

USER = "bob@shop "


def messages(count: int = 40) -> list[tuple[str, list[str]]]:
    """Time and pid, and the lines behind them: a statement of two lines, an execution, an error."""
    found: list[tuple[str, list[str]]] = []
    for number in range(count):
        head = f"2026-11-24 10:{number // 60:02}:{number % 60:02}.123 UTC"
        body = [
            [f"LOG:  duration: 1.250 ms  statement: SELECT *\n\tFROM book WHERE id = {number}"],
            ["LOG:  duration: 0.125 ms  execute a1: SELECT title FROM book WHERE id = $1",
             f"DETAIL:  parameters: $1 = '{number}'"],
            ['ERROR:  relation "nix" does not exist at character 15',
             "STATEMENT:  SELECT * FROM nix"],
        ][number % 3]  # fmt: skip
        found.append((head, body))
    return found


def stderr(prefix: str = "{when} [7] " + USER) -> list[str]:
    return [
        prefix.format(when=when) + text
        for when, texts in messages()
        for text in texts
    ]  # fmt: skip


def physical(lines: list[str]) -> list[str]:
    return [part for line in lines for part in line.split("\n")]


def iso(text: str) -> str:
    return text.replace(" UTC", "Z").replace(" ", "T")


def kubernetes() -> str:
    out = []
    for part in physical(stderr()):
        head = "2026-11-24T10:00:00.123456789Z stderr"
        out += [f"{head} P {part[:40]}", f"{head} F {part[40:]}"]
    return "\n".join(out)


def docker() -> str:
    return "\n".join(
        json.dumps({"log": part + "\n", "stream": "stderr", "time": "2026-11-24T10:00:00Z"})
        for part in physical(stderr())
    )


def journald() -> str:
    def entry(text: str) -> str:
        raw: object = text if "SELECT" in text else list(text.encode())
        return json.dumps({"_PID": "7", "__REALTIME_TIMESTAMP": "1", "MESSAGE": raw})

    return "\n".join(entry(part) for part in physical(stderr()))


def cloudwatch() -> str:
    lines = stderr("{when}:10.0.0.1(4711):bob@shop:[7]:")
    return "\n".join("2026-11-24T10:00:00.000Z " + line for line in lines)


def syslog(form: str) -> Callable[[], str]:
    """A number for each message, and one for each of its lines."""

    def wrapped() -> str:
        out = []
        for number, (when, texts) in enumerate(messages(), 1):
            parts = physical([USER + text for text in texts])
            for place, part in enumerate(parts, 1):
                text = part.replace("\t", "#011")
                if form == "3164":
                    head = f"Nov 24 {when[11:19]} db1 postgres[7]: [{number}-{place}] "
                else:
                    head = f"<134>1 {iso(when)} db1 postgres 7 - - [{number}-{place}] "
                out.append(head + text)
        return "\n".join(out)

    return wrapped


def heroku() -> str:
    out = []
    for number, (when, texts) in enumerate(messages(), 1):
        parts = physical(["sql_error_code = 00000 " + text for text in texts])
        for place, part in enumerate(parts, 1):
            head = f"{iso(when)[:-1]}+00:00 app[postgres.7]: [DATABASE] [{number}-{place}]  "
            out.append(head + part.replace("\t", "#011"))
    return "\n".join(out)


def azure() -> str:
    out = []
    for when, texts in messages():
        first = {"message": f"{when}-6742d1a0.7-{texts[0]}", "processId": 7}
        more = {"detail": texts[1][9:]} if texts[-1].startswith("DETAIL") else {}
        out.append(json.dumps({"time": iso(when), "properties": {**first, **more}}))
        if texts[-1].startswith("STATEMENT"):
            said = {"message": f"{when}-6742d1a0.7-{texts[1]}"}
            out.append(json.dumps({"time": iso(when), "properties": said}))
    return "\n".join(out)


def cloud_sql() -> str:
    """The newest comes first."""
    lines = stderr("{when} [7]: [1-1] db=shop,user=bob ")
    return "\n".join(
        json.dumps({"insertId": f"{n:05}", "timestamp": f"{n:05}", "textPayload": line})
        for n, line in reversed(list(enumerate(lines)))
    )


def columns(when: str, texts: list[str]) -> dict[str, str]:
    severity, _, message = texts[0].partition(":  ")
    found = {"error_severity": severity, "message": message.replace("\n\t", "\n")}
    for text in texts[1:]:
        kind, _, rest = text.partition(":  ")
        found["detail" if kind == "DETAIL" else "query"] = rest
    return {**found, "session_id": "6742d1a0.7", "user_name": "bob", "database_name": "shop"}


def cnpg() -> str:
    out = [json.dumps({"level": "info", "logger": "instance-manager", "msg": "ready",
                       "record": {}})]  # fmt: skip
    for when, texts in messages():
        record = {**columns(when, texts), "log_time": when}
        out.append(json.dumps({"logger": "postgres", "msg": "record", "record": record,
                               "logging_pod": "db-1"}))  # fmt: skip
    return "\n".join(out)


def supabase() -> str:
    out = []
    for when, texts in messages():
        parsed = columns(when, texts)
        message = parsed.pop("message")
        nested = [{"parsed": [{**parsed, "timestamp": when}]}]
        out.append(json.dumps({"event_message": message, "metadata": nested}))
    return "\n".join(out)


WRAPPED: dict[str, Callable[[], str]] = {
    "kubernetes": kubernetes,
    "docker": docker,
    "journald": journald,
    "CloudWatch": cloudwatch,
    "syslog 3164": syslog("3164"),
    "syslog 5424": syslog("5424"),
    "Heroku": heroku,
    "Azure": azure,
    "Cloud SQL": cloud_sql,
    "CloudNativePG": cnpg,
    "Supabase": supabase,
}


def told(data: bytes, layout: Layout) -> Partial:
    total = Partial(whole=True)
    for block in blocks(iter([data]), format_of(layout).start):
        total.merge(analyze_chunk(block, layout))
    total.finish()
    return total


@pytest.mark.parametrize("name", WRAPPED)
def test_what_is_wrapped_says_the_same(name: str) -> None:
    plain = ("\n".join(stderr()) + "\n").encode()
    want = told(plain, recognise(plain.splitlines()))
    data = (WRAPPED[name]() + "\n").encode()
    layout = recognise(data.splitlines())
    found = told(data, layout)
    assert layout.wrappers[0] == name.split(" 3")[0].split(" 5")[0]
    assert found.unread == 0
    # a sample keeps the moment, which some wrappers tell to the second only
    assert {n: replace(s, samples=[]) for n, s in found.statements.items()} == {
        n: replace(s, samples=[]) for n, s in want.statements.items()
    }
    assert {p.message: p.count for p in found.problems.values()} == {
        p.message: p.count for p in want.problems.values()
    }
    assert found.calls == 27


def test_an_operator_on_a_node() -> None:
    lines = [f"2026-11-24T10:00:00.1Z stdout F {line}" for line in cnpg().splitlines()]
    data = ("\n".join(lines) + "\n").encode()
    layout = recognise(data.splitlines())
    assert layout == Layout("jsonlog", wrappers=("kubernetes", "CloudNativePG"))
    assert told(data, layout).calls == 27
    assert layout.shown == "jsonlog in CloudNativePG in kubernetes"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([f() for f in WRAPPED.values()]) | st.text(max_size=30),
                max_size=4), st.integers(0, 400))  # fmt: skip
def test_no_bytes_raise(texts: list[str], cut: int) -> None:
    data = "\n".join(texts).encode("utf-8", "replace")[cut:]
    for name in WRAPPERS:
        for inner in (Layout("stderr", "%m [%p] "), Layout("jsonlog")):
            coverage = Coverage()
            layout = replace(inner, wrappers=(name,))
            list(format_of(layout).entries(data, coverage))
            assert coverage.unread <= coverage.lines
