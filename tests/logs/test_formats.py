"""Formats: each is recognised by majority, and gives the same seven fields."""

from collections.abc import Sequence

import pytest

from scaledoctor.errors import Unavailable
from scaledoctor.logs.access.layout import Layout, Row
from scaledoctor.logs.access.recognise import recognise
from tests.logs.lines import haproxy, nginx

HEAD = '10.1.2.3 - - [25/Nov/2026:10:00:00 +0000] "GET /a?x=1 HTTP/1.1" 200 512'
ENVOY = (
    '[2026-11-25T10:00:00.310Z] "GET /a?x=1 HTTP/2" {status} {flags} 0 512 226 {spent} '
    '"10.0.35.28" "agent" "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "shop" "{server}"'
)
ISTIO = (
    '[2026-11-25T10:00:00.310Z] "GET /a?x=1 HTTP/1.1" 200 - via_upstream - "-" 0 512 226 220 '
    '"-" "agent" "cc21d9b0" "shop" "10.0.2.1:80" outbound|80||shop 10.0.0.9:4711 10.0.0.1:80 - -'
)
CADDY = (
    '{"level":"info","ts":1795600800.5,"logger":"http.log.access","msg":"handled request",'
    '"request":{"remote_ip":"::1","method":"GET","host":"shop","uri":"/a?x=1","headers":{}},'
    '"duration":0.226,"size":512,"status":200}'
)
TRAEFIK = (
    '{"ClientAddr":"::1:5","DownstreamStatus":200,"Duration":226000000,"OriginDuration":220000000,'
    '"OriginStatus":200,"RequestMethod":"GET","RequestPath":"/a?x=1","RetryAttempts":0,'
    '"ServiceAddr":"10.0.2.1:80","StartUTC":"2026-11-25T10:00:00.5Z","time":"2026-11-25T10:00:01Z"}'
)


def only(lines: Sequence[str]) -> tuple[Layout, Row]:
    """The layout of some equal lines, and what it reads from the first."""
    layout = recognise([line.encode() for line in lines])
    return layout, layout.rows(f"{lines[0]}\n".encode())[0]


def repeated(line: str) -> list[str]:
    return [line] * 5


@pytest.mark.parametrize(
    ("tail", "name", "row"),
    [
        ("", "common", (b"", b"", b"", b"")),
        (' "https://a.example:80/" "agent"', "combined", (b"", b"", b"", b"")),
        (' "-" "agent" 0.226', "combined with request time", (b"0.226", b"", b"", b"")),
        (' "-" "a \\" b" rt=0.226', "combined with request time", (b"0.226", b"", b"", b"")),
        (' "-" "agent" 123 0.226 [a-80] [] 10.0.2.1:80 99 0.220 200 f00',
         "combined with upstream fields", (b"0.226", b"0.220", b"10.0.2.1:80", b"200")),
        (' "-" "a" "-" "shop" sn="x" rt=0.226 ua="10.0.2.1:80" us="200" ut="0.220" ul="99" cs=-',
         "combined with upstream fields", (b"0.226", b"0.220", b"10.0.2.1:80", b"200")),
        (' "-" "a" rt=0.226 uct="0.001" uht="0.219" urt="0.220"',
         "combined with upstream fields", (b"0.226", b"0.220", b"", b"")),
        (' 0.226 unix:/run/app.sock 200 0.220', "combined with upstream fields",
         (b"0.226", b"0.220", b"unix:/run/app.sock", b"200")),
        (' "-" "agent" 12 "shop@file" "http://10.0.2.1:80" 226ms',
         "combined with upstream fields", (b"226", b"", b"http://10.0.2.1:80", b"")),
        (' "-" "agent" "3.21"', "combined", (b"", b"", b"", b"")),  # gzip_ratio is no time
    ],
)  # fmt: skip
def test_columns_behind_the_bytes_are_told_by_their_values(
    tail: str, name: str, row: tuple[bytes, ...]
) -> None:
    layout, found = only(repeated(HEAD + tail))
    assert layout.name == name
    assert found == (b"GET /a", b"200", *row, b"")


def test_a_request_time_is_the_one_that_no_other_exceeds() -> None:
    """Whatever the order of the columns."""
    lines = [f"{HEAD} 0.{i}00 10.0.2.1:80 0.{i}50" for i in range(1, 9)]
    _, row = only(lines)
    assert row[2:4] == (b"0.150", b"0.100")


def test_lists_of_tries_come_whole() -> None:
    lines = [
        nginx(total="0.121", spent="0.001, 0.120", address="10.0.0.1:80, 10.0.0.2:80",
              answers="502, 200"),
        nginx(total="0.121", spent="0.001, - : 0.120", address="10.0.0.1:80, 10.0.0.2:80 : d:1",
              answers="502, - : 200"),
        *repeated(nginx()),
    ]  # fmt: skip
    layout = recognise([line.encode() for line in lines])
    rows = layout.rows("\n".join(lines).encode())
    assert rows[0][3:6] == (b"0.001, 0.120", b"10.0.0.1:80, 10.0.0.2:80", b"502, 200")
    assert rows[1][3:6] == (b"0.001, - : 0.120", b"10.0.0.1:80, 10.0.0.2:80 : d:1",
                            b"502, - : 200")  # fmt: skip
    assert len(rows) == 7


def test_requests_that_are_none_are_understood() -> None:
    lines = [nginx(), nginx(request=""), nginx(request="\\x16\\x03\\x01", status=400), nginx()]
    layout = recognise([line.encode() for line in lines])
    rows = layout.rows("\n".join(lines).encode())
    assert [row[0] for row in rows] == [b"GET /", b"", b"", b"GET /"]


@pytest.mark.parametrize(
    ("line", "row"),
    [
        (haproxy(waited=3), (b"GET /", b"200", b"10", b"9", b"app/s1", b"200", b"3")),
        (haproxy(retries="+2"), (b"GET /", b"200", b"10", b"9", b"app/s1", b"-, -, 200", b"0")),
        (haproxy(status=503, server="<NOSRV>", spent=-1, state="sQ--"),
         (b"GET /", b"503", b"10", b"-", b"app/<NOSRV>", b"-", b"0")),
        (haproxy(status=504, spent=-1, state="sH--"),
         (b"GET /", b"504", b"10", b"-", b"app/s1", b"-", b"0")),
        (haproxy(status=-1, spent=-1, state="CH--"),
         (b"GET /", b"499", b"10", b"-", b"app/s1", b"-", b"0")),
        (haproxy(status=400, request="<BADREQ>", state="CR--"),
         (b"", b"400", b"10", b"9", b"app/s1", b"-", b"0")),
    ],
)  # fmt: skip
def test_haproxy(line: str, row: Row) -> None:
    lines = [line, *repeated(haproxy())]
    layout = recognise([text.encode() for text in lines])
    assert layout.name == "HAProxy httplog"
    assert layout.scale == 0.001
    assert layout.rows(f"{line}\n".encode()) == [row]
    assert layout.stamp(line.encode()) == 1_795_600_800.123


@pytest.mark.parametrize(
    ("line", "row"),
    [
        (ENVOY.format(status=200, flags="-", spent=220, server="10.0.2.1:80"),
         (b"GET /a", b"200", b"226", b"220", b"10.0.2.1:80", b"200", b"")),
        (ENVOY.format(status=200, flags="-", spent=220, server="tcp://10.0.2.1:80"),
         (b"GET /a", b"200", b"226", b"220", b"10.0.2.1:80", b"200", b"")),
        (ENVOY.format(status=503, flags="UH", spent="-", server="-"),
         (b"GET /a", b"503", b"226", b"-", b"-", b"-", b"")),
        (ENVOY.format(status=503, flags="UF,URX", spent="-", server="10.0.2.1:80"),
         (b"GET /a", b"503", b"226", b"-", b"10.0.2.1:80", b"-", b"")),
        (ENVOY.format(status=0, flags="DC", spent="-", server="10.0.2.1:80"),
         (b"GET /a", b"499", b"226", b"-", b"10.0.2.1:80", b"-", b"")),
        (ISTIO, (b"GET /a", b"200", b"226", b"220", b"10.0.2.1:80", b"200", b"")),
    ],
)  # fmt: skip
def test_envoy(line: str, row: Row) -> None:
    layout, found = only(repeated(line))
    assert layout.name == "Envoy"
    assert found == row
    assert layout.stamp(line.encode()) == pytest.approx(1_795_600_800.31)


@pytest.mark.parametrize(
    ("line", "row"),
    [
        (CADDY, (b"GET /a", b"200", b"0.2260", b"-", b"", b"-", b"")),
        (CADDY.replace('"status":200', '"status":0'),
         (b"GET /a", b"499", b"0.2260", b"-", b"", b"-", b"")),
        (TRAEFIK, (b"GET /a", b"200", b"0.2260", b"0.2200", b"10.0.2.1:80", b"200", b"")),
        (TRAEFIK.replace('Attempts":0', 'Attempts":2'),
         (b"GET /a", b"200", b"0.2260", b"0.2200", b"10.0.2.1:80", b"-, -, 200", b"")),
        ('{"time":"2026-11-25T10:00:00Z","method":"GET","path":"/a?x=1","status_code":"200",'
         '"latency_ms":226}', (b"GET /a", b"200", b"0.2260", b"-", b"", b"-", b"")),
        ('{"ts":1795600800500,"request":"GET /a?x=1 HTTP/1.1","status":200,"took":"226ms"}',
         (b"GET /a", b"200", b"0.2260", b"-", b"", b"-", b"")),
        ('app[1]: {"start_time":"2026-11-25T10:00:00Z","method":"GET","path":"/a?x=1",'
         '"response_code":503,"response_flags":"UF","duration":226,"upstream_service_time":null,'
         '"upstream_host":"10.0.2.1:80"}',
         (b"GET /a", b"503", b"0.2260", b"-", b"10.0.2.1:80", b"-", b"")),
    ],
)  # fmt: skip
def test_json(line: str, row: Row) -> None:
    layout, found = only(repeated(line))
    assert layout.name == "JSON"
    assert found == row
    assert layout.stamp(line.encode()) == pytest.approx(1_795_600_800.3, abs=0.8)


def test_json_lists_of_nginx() -> None:
    line = (
        '{"time_iso8601":"2026-11-25T10:00:00+00:00","request_method":"GET","request_uri":"/a",'
        '"status":200,"request_time":0.121,"upstream_addr":"10.0.0.1:80, 10.0.0.2:80",'
        '"upstream_status":"502, 200","upstream_response_time":"0.001, 0.120"}'
    )
    _, found = only(repeated(line))
    assert found[2:6] == (b"0.1210", b"0.001, 0.120", b"10.0.0.1:80, 10.0.0.2:80", b"502, 200")


def test_the_majority_decides() -> None:
    """Half of the lines are enough, one less is not."""
    good, bad = nginx().encode(), b"Nov 25 10:00:00 lb systemd[1]: Started Session 7."
    assert recognise([good] * 5 + [bad] * 5).name == "combined with upstream fields"
    with pytest.raises(Unavailable, match="only 4 of 9 lines"):
        recognise([good] * 4 + [bad] * 5)


def test_two_formats_in_one_file_are_the_larger_one() -> None:
    lines = [haproxy().encode()] * 7 + [nginx().encode()] * 5
    assert recognise(lines).name == "HAProxy httplog"


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        ([], "the log is empty"),
        ([b"", b"  ", b"\0\0"], "the log is empty"),
        ([bytes(range(256))] * 3, "not a text file"),
        ([b"2026-11-25 10:00:00 UTC [7] LOG:  duration: 1 ms"] * 3, "only 0 of 3 lines look like"),
        ([b'{"a":1}'] * 3, "only 0 of 3"),
        ([b"[[[[" * 1000] * 3, "only 0 of 3"),
    ],
)
def test_what_is_no_access_log_is_told_in_one_line(sample: list[bytes], words: str) -> None:
    with pytest.raises(Unavailable, match=words) as told:
        recognise(sample)
    assert "\n" not in told.value.reason
    assert told.value.enable


@pytest.mark.parametrize("odd", [b"\r", b" \xff\xfe\x80", b' "\x1b[31m\x07"', b"\0\0\0"])
def test_odd_bytes_at_the_end_of_a_line_do_no_harm(odd: bytes) -> None:
    lines = [nginx().encode() + odd] * 3
    layout = recognise(lines)
    assert layout.rows(b"\n".join(lines))[0][:2] == (b"GET /", b"200")
