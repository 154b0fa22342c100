"""HAProxy's page and sockets, of two versions; and what answers there that is none of them."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from scaledoctor.collect import collect
from scaledoctor.demo.servers import Haproxy, balancer_cfg, find_haproxy, haproxy
from scaledoctor.demo.servers.child import free_port
from scaledoctor.diagnosis import diagnose
from scaledoctor.redact import Redactor
from scaledoctor.registry import load
from scaledoctor.sdk import Unavailable, Window
from scaledoctor.snapshot import Record, dumps, loads
from scaledoctor.sources.haproxy import BackendLoad, HaproxyInfo, HaproxyNow, HaproxyStats
from scaledoctor.sources.haproxy import now as now_module
from scaledoctor.sources.haproxy._csv import count, rows
from scaledoctor.sources.haproxy._page import paths
from scaledoctor.sources.haproxy.stats import LISTED
from scaledoctor.targets import targets
from tests.servers import missing, open_to_others
from tests.web import Sites, asking, sites

REGISTRY = load()
APP = ("balance roundrobin", "server s1 127.0.0.1:9 maxconn 5", "server s2 127.0.0.1:9 disabled")


def read(where: str, window: float = 0.0) -> Record:
    """What a scan reads there."""
    found = targets({"haproxy": [where]}, {})
    return collect(found[1:], REGISTRY, Redactor(), window).records[0]


def why(where: str) -> str:
    """The one line that a target gets that is no HAProxy; nothing crashes."""
    record = read(where)
    assert not record.reach.ok
    assert record.failures == ()
    told = f"{record.reach.message} ({record.reach.enable})"
    assert "\n" not in told
    return told


VERSIONS: list[Path | None] = [*find_haproxy()]


@pytest.fixture(scope="module", params=VERSIONS or [None], ids=str)
def balancer(request: pytest.FixtureRequest) -> Iterator[Haproxy]:
    """Each installed version, its page with a password and its socket on TCP as well."""
    if request.param is None:
        missing("haproxy is not installed (apt-get install haproxy)")
    cfg = balancer_cfg(
        {"app": APP},
        extra_global=(f"stats socket ipv4@127.0.0.1:{free_port()} level user",),
        stats=("stats auth me:s3cr3t", "stats realm x"),
    )
    with haproxy(cfg, binary=request.param) as running:
        yield running


def page(balancer: Haproxy, user: str = "me:s3cr3t@", path: str = "/stats") -> str:
    return f"http://{user}127.0.0.1:{balancer.stats_port}{path}"


def tcp(balancer: Haproxy) -> str:
    line = next(x for x in balancer.cfg.read_text().splitlines() if "ipv4@" in x)
    return f"tcp://{line.split('@')[1].split()[0]}"


@pytest.mark.live
@pytest.mark.parametrize("way", ["page", "unix", "tcp"])
def test_each_way_in_gives_the_same(balancer: Haproxy, way: str) -> None:
    """Proxies, servers, limits, states and the process's own words."""
    where = {"page": page, "unix": lambda b: f"unix:{b.socket}", "tcp": tcp}[way](balancer)
    record = read(where)
    assert record.reach.ok, record.reach
    assert record.skips == ()
    assert record.failures == ()
    stats: HaproxyStats = record.samples["HaproxyStats"][-1][1]
    (app,) = [b for b in stats.backends if b.servers]
    assert (app.name, app.servers, app.parked, app.limit) == ("app", 2, 1, 5)
    s1, s2 = stats.servers
    assert (s1.name, s1.status, s1.checked, s1.limit) == ("s1", "no check", False, 5)
    assert (s2.status, s2.parked) == ("MAINT", True)
    assert {f.name: f.limit for f in stats.frontends} == {"web": 1000, "stats": 1000}
    told: HaproxyInfo = record.samples["HaproxyInfo"][-1][1]
    assert told.version[:2] == "2."
    assert (told.pid, told.limit, told.threads) == (balancer.pid, 1000, 1)
    assert told.uptime is not None
    assert told.idle is not None
    now: HaproxyNow = record.samples["HaproxyNow"][-1][1]
    assert now.backends == {}
    assert [(s.name, s.status) for s in now.servers] == [("s2", "MAINT")]
    assert "s3cr3t" not in dumps_of(where)


def dumps_of(where: str) -> str:
    """The snapshot's text; reading it back gives the same."""
    found = targets({"haproxy": [where]}, {})
    snapshot = collect(found[1:], REGISTRY, Redactor(), 0.0)
    data = dumps(snapshot)
    assert loads(data, REGISTRY.facts) == snapshot
    return data.decode()


@pytest.mark.live
@pytest.mark.parametrize("path", ["/stats", "/stats;csv", "/stats;csv;norefresh", "/stats;up"])
def test_any_form_of_the_pages_address_will_do(balancer: Haproxy, path: str) -> None:
    assert read(page(balancer, path=path)).reach.ok


@pytest.mark.parametrize(
    ("url", "csv"),
    [
        ("http://h:1/stats", "/stats;csv"),
        ("http://h:1/stats;csv", "/stats;csv"),
        ("http://h:1/", "/;csv"),
        ("http://h:1", "/haproxy?stats;csv"),
        ("http://h:1/haproxy?stats", "/haproxy?stats;csv"),
        ("http://h:1/haproxy?stats;csv", "/haproxy?stats;csv"),
        ("http://u:p;w@h:1/a;csv", "/a;csv"),
    ],
)
def test_the_csv_is_asked_for_whatever_was_given(url: str, csv: str) -> None:
    assert paths(url)[0] == csv


@pytest.mark.live
def test_a_wrong_password_and_none(balancer: Haproxy) -> None:
    for user, hint in (("", "put user:password@"), ("me:wrong@", "user and password of the URL")):
        told = why(page(balancer, user))
        assert "401" in told
        assert hint in told
        assert "wrong" not in told


@pytest.mark.live
def test_another_page_of_the_same_server(balancer: Haproxy) -> None:
    assert "503" in why(f"http://127.0.0.1:{balancer.stats_port}/nothing")


@pytest.mark.live
def test_a_certificate_that_nobody_knows(tmp_path: Path) -> None:
    """The line says how to trust it."""
    if shutil.which("openssl") is None:
        missing("openssl is not installed (apt-get install openssl)")
    pem = tmp_path / "pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x"]
    command = [*request, "-keyout", str(pem), "-out", str(tmp_path / "crt")]
    subprocess.run(command, check=True, capture_output=True)
    pem.write_text(pem.read_text() + (tmp_path / "crt").read_text())
    pem.chmod(0o644)
    open_to_others(tmp_path)  # HAProxy runs as another account
    port = free_port()
    cfg = balancer_cfg({"app": APP}, stats=(f"bind 127.0.0.1:{port} ssl crt {pem}",))
    with haproxy(cfg):
        told = why(f"https://127.0.0.1:{port}/stats")
    assert "TLS failed" in told
    assert "SSL_CERT_FILE" in told


@contextmanager
def answering(
    data: bytes | Mapping[bytes, bytes] | None, place: Path | None = None
) -> Iterator[str]:
    """Something that answers all with that, or by what it is asked, and hangs up; None: hangs."""
    family = socket.AF_UNIX if place else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind(str(place) if place else ("127.0.0.1", free_port()))
        listener.listen(10)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection = listener.accept()[0]
                    question = connection.recv(1000)
                    if data is None:
                        kept.append(connection)
                        continue
                    connection.sendall(data if isinstance(data, bytes) else data[question])
                    connection.close()

        kept: list[socket.socket] = []
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"unix:{place}" if place else f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for connection in kept:
                connection.close()


def http(body: bytes, kind: str = "text/plain") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.mark.live
@pytest.mark.parametrize(
    ("data", "told"),
    [
        (http(b"<!DOCTYPE html><html>hello</html>", "text/html"), "but an HTML page"),
        (http(b""), "the answer is empty"),
        (http(bytes(range(256))), "not HAProxy's statistics but 256 characters of text/plain"),
        (http(b'{"a": 1}', "application/json"), "8 characters of application/json"),
        (b"\x15\x03\x01garbage", "does not speak HTTP"),
        (b"", "does not speak HTTP"),
        (http(b"# pxname,svname,")[:-5], "does not speak HTTP"),
        (b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", "redirected"),
    ],
    ids=["HTML", "empty", "binary", "JSON", "no HTTP", "hangs up", "cut off", "login page"],
)
def test_what_answers_on_the_port_is_not_the_page(data: bytes, told: str) -> None:
    with answering(data) as place:
        assert told in why(f"http://{place}/stats")


@pytest.mark.live
@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "the socket answers nothing"),
        (bytes(range(256)), "is not HAProxy"),
        (b"Unknown command: 'show info'\n", "does not know or allow 'show info'"),
        (b"Permission denied\n\n", "level user is enough"),
        (None, "does not answer within 3 s"),
    ],
    ids=["nothing", "binary", "another socket", "no permission", "hangs"],
)
def test_what_answers_on_the_socket_is_not_haproxy(
    data: bytes | None, told: str, tmp_path: Path
) -> None:
    with answering(data, tmp_path / "s") as place:
        assert told in why(place)


def test_sockets_that_are_not_there(tmp_path: Path) -> None:
    """No file, a file that is no socket, nobody on the port, a name that cannot be."""
    assert "stats socket' in haproxy.cfg" in why(f"unix:{tmp_path}/none")
    (tmp_path / "file").touch()
    assert "is this its stats socket?" in why(f"unix:{tmp_path}/file")
    assert "is HAProxy running" in why(f"tcp://127.0.0.1:{free_port()}")
    assert "too long" in why(f"unix:/{'x' * 200}")
    assert "check the host name" in why("tcp://no-such-host.invalid:99")


HEADER = "# pxname,svname,qcur,scur,slim,stot,status,weight,type,\n"
GREETING = "Name: HAProxy\nVersion: 2.0.0\nUptime_sec: 5\n\n"


@pytest.mark.live
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (HEADER + "app,s1,0,0,,5,UP,1,2,\napp,s2,0,0\n\n", "is cut off in line 3"),
        (HEADER + "app,s1,0,0,,5,UP,1,2,\napp,s2,0,0", "the socket was closed in between"),
        (HEADER + "app,s1,0,0,,5,UP,1,2,\n", "the socket was closed in between"),
        (HEADER + "\n", "HAProxy shows no proxy here"),
        ("\n", "the answer is empty"),
        (HEADER + "a,b,0,0,,5,UP,1,2,\n" * 250_000 + "\n", "more than 250,000 lines"),
    ],
    ids=["a short line", "in a line", "between lines", "no proxy", "empty", "endless"],
)
def test_statistics_that_end_early_are_no_statistics(
    answer: str, told: str, tmp_path: Path
) -> None:
    """It greets as HAProxy does, and then its numbers stop: skipped, with the reason."""
    answers = {b"show info\n": GREETING, b"show stat\n": answer}
    with answering({k: v.encode() for k, v in answers.items()}, tmp_path / "s") as place:
        record = read(place)
    assert record.reach.ok
    assert record.failures == ()
    assert {skip.what for skip in record.skips if told in skip.reason} >= {"HaproxyStats"}
    assert "HaproxyInfo" in record.samples


def test_the_csv_of_an_old_version_lacks_columns() -> None:
    """They are None or 0; quoted words may hold commas, unknown types are left out."""
    text = (
        "# pxname,svname,qcur,scur,status,type,last_chk,\n"
        'app,s1,0,3,UP,2,"HTTP, status",\n'
        "app,sock-1,0,3,OPEN,3,,\n"
        "app,BACKEND,0,x,UP,1,,\n"
    )
    server, backend = rows(text)
    assert server["last_chk"] == "HTTP, status"
    assert count(server, "scur") == 3
    assert count(server, "chkdown") is None
    assert count(backend, "scur") is None


@pytest.mark.live
def test_names_cannot_carry_commands(tmp_path: Path) -> None:
    """A name becomes part of what people paste; HAProxy's own have letters, digits and _-.: ."""
    evil = HEADER + "app'; rm -rf /;'\x1b[31m,$(id)`id`,0,0,,5,UP,1,2,\n\n"
    answers = {b"show info\n": GREETING.encode(), b"show stat\n": evil.encode()}
    with answering(answers, tmp_path / "s") as place:
        stats: HaproxyStats = read(place).samples["HaproxyStats"][0][1]
    assert stats.servers[0].proxy == "app???rm?-rf??????31m"
    assert stats.servers[0].name == "??id??id?"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("# pxname,svname,type,\napp,s1,2,\napp,s2", "cut off in line 3"),
        ('# pxname,svname,type,\napp,"' + "x" * 200_000 + '",2,\n', "cannot be read"),
    ],
)
def test_broken_lines_are_named(text: str, told: str) -> None:
    with pytest.raises(Unavailable, match=told):
        list(rows(text))


@pytest.mark.live
def test_counters_and_gauges_agree_with_the_load(tmp_path: Path) -> None:
    """Eight clients that each wait 50 ms for an answer: up to eight in hand."""
    if not find_haproxy():
        missing("haproxy is not installed (apt-get install haproxy)")
    with sites(tmp_path, 2) as behind:
        for number in range(2):
            behind.set(number, delay=0.05)
        with haproxy(balancer_cfg({"app": behind.lines()})) as balancer:
            with asking(tmp_path, balancer.url, clients=8, think=0.0):
                record = read(f"unix:{balancer.socket}", 2.0)
            _agree(record, behind)


def _agree(record: Record, behind: Sites) -> None:
    stats: Window[HaproxyStats] = Window(record.samples["HaproxyStats"])
    now: Window[HaproxyNow] = Window(record.samples["HaproxyNow"])
    assert len(behind.ports) == len(stats.last.servers)
    requests = stats.delta(lambda s: s.backends[0].requests)
    assert requests is not None
    assert requests == stats.delta(lambda s: sum(one.requests for one in s.servers))
    idle = BackendLoad(0, 0)
    in_hand = now.mean(lambda n: n.backends.get("app", idle).current)
    assert in_hand == now.mean(lambda n: sum(one.current for one in n.servers))
    assert requests > 0
    assert 0 < in_hand <= 8


@pytest.mark.live
def test_ten_thousand_servers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two thousand have rows, those of the busiest backend first; a dear sample is held."""
    if not find_haproxy():
        missing("haproxy is not installed (apt-get install haproxy)")
    lines = {f"b{n}": [f"server s{i} 127.0.0.1:9" for i in range(1000)] for n in range(10)}
    monkeypatch.setattr(now_module, "SHARE", 1e-4)
    with haproxy(balancer_cfg(lines)) as balancer:
        record = read(f"unix:{balancer.socket}", 1.0)
    assert record.failures == ()
    stats: HaproxyStats = record.samples["HaproxyStats"][-1][1]
    assert (len(stats.servers), stats.unlisted) == (LISTED, 8_000)
    assert {s.proxy for s in stats.servers} == {"b0", "b1"}
    assert sum(b.servers for b in stats.backends) == 10_000
    assert record.costs["HaproxyNow"].calls == 1
    assert len(record.samples["HaproxyNow"]) >= 2
    again: HaproxyStats = record.samples["HaproxyStats"][0][1]
    assert [s.name for s in again.servers] == [s.name for s in stats.servers]


@pytest.mark.live
def test_the_rest_of_a_scan_goes_on(tmp_path: Path) -> None:
    """One HAProxy hangs, one is fine: the report has both, and its checks ran on the second."""
    if not find_haproxy():
        missing("haproxy is not installed (apt-get install haproxy)")
    with haproxy(balancer_cfg({"app": APP})) as balancer, answering(None, tmp_path / "s") as hangs:
        found = targets({"haproxy": [hangs, f"unix:{balancer.socket}"]}, {})
        told = diagnose(collect(found[1:], REGISTRY, Redactor(), 0.5), REGISTRY)
    first, second = told.targets
    assert (first.ok, second.ok) == (False, True)
    assert told.errored == ()
    assert any(row.resource == "haproxy.backend:app" for row in told.headroom)
