"""A real Prometheus that scrapes a real node_exporter: the host's facts as a history."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from scaledoctor.errors import Unavailable
from scaledoctor.redact import Redactor
from scaledoctor.sources._metrics import Sample
from scaledoctor.sources.node_exporter._series import Series
from scaledoctor.sources.prometheus._api import MOST, expression, history
from scaledoctor.sources.prometheus.session import chosen, host_of
from tests.balancers import Seen, scan
from tests.machines import node_exporter, prometheus
from tests.sources.pages import Answer, Asked, site


def node(nodename: str) -> Series:
    return Series.of([Sample("node_uname_info", {"nodename": nodename}, 1.0)])


NODES = {
    ("10.0.0.5:9100", "node"): node("db1"),
    ("10.0.0.6:9100", "node"): node("web1"),
    ("web2:9100", "node"): node("web2"),
}


@pytest.mark.parametrize(
    ("asked", "others", "instance"),
    [
        ("10.0.0.6:9100", (), "10.0.0.6:9100"),
        ("10.0.0.6", (), "10.0.0.6:9100"),
        ("web1", ("db1",), "10.0.0.6:9100"),
        ("", ("10.0.0.5",), "10.0.0.5:9100"),
        ("", ("cache", "web2"), "web2:9100"),
    ],
)
def test_the_machine_that_is_meant(asked: str, others: tuple[str, ...], instance: str) -> None:
    """By its instance, its host, its own name, or because another target runs there."""
    assert chosen(NODES, asked, others, Redactor())[0] == instance


@pytest.mark.parametrize(
    ("asked", "others", "message"),
    [
        ("db9", (), "no such machine in this Prometheus: 10.0.0.5:9100, 10.0.0.6:9100, web2:9100"),
        ("", (), "3 machines in this Prometheus: "),
        ("", ("db9",), "3 machines in this Prometheus: "),
        ("", ("db1", "web2"), "3 machines in this Prometheus: "),
    ],
)
def test_an_open_question_is_put_back(asked: str, others: tuple[str, ...], message: str) -> None:
    with pytest.raises(Unavailable) as caught:
        chosen(NODES, asked, others, Redactor())
    assert caught.value.reason.startswith(message)
    assert "instance=HOST" in caught.value.enable


def test_the_only_machine_needs_no_name() -> None:
    only = dict(list(NODES.items())[:1])
    assert chosen(only, "", ("elsewhere",), Redactor()) == ("10.0.0.5:9100", "node")
    with pytest.raises(Unavailable, match="no series node_uname_info"):
        chosen({}, "", (), Redactor())


def test_hosts_of_instances() -> None:
    assert [host_of(i) for i in ("db1:9100", "[::1]:9100", "db1", "[", "")] == [
        "db1", "::1", "db1", "", "",
    ]  # fmt: skip


def test_labels_are_quoted() -> None:
    assert expression({"instance": 'a"b\\'}, 5).startswith('{instance="a\\"b\\\\",__name__=~"')


def test_moments_are_kept_in_order_and_bounded() -> None:
    values = [[1000.0 + i, str(i)] for i in range(3 * MOST)]
    kept = history([{"metric": {"__name__": "node_procs_running"}, "values": values}])
    assert len(kept) == MOST
    assert kept[-1][0] == 0.0
    assert kept[-1][1].one("node_procs_running") == 3 * MOST - 1
    assert [at for at, _ in kept] == sorted(at for at, _ in kept)
    with pytest.raises(Unavailable, match="nothing of this machine"):
        history([])
    with pytest.raises(Unavailable, match="another form"):
        history([{"metric": {}, "values": []}])


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A Prometheus with three scrapes of one node_exporter."""
    with node_exporter() as exporter, prometheus(exporter) as found:
        yield found


@pytest.fixture(scope="module")
def seen(port: int) -> Seen:
    """One scan that takes no time of its own: the past is enough for rates."""
    return scan(0, prometheus=f"http://127.0.0.1:{port}")


@pytest.mark.live
def test_its_history_gives_rates_at_once(seen: Seen) -> None:
    """Three scrapes or more, a second apart, each with every fact."""
    (record,) = seen.snapshot.records
    assert record.reach.ok, record.reach
    taken = record.samples["CpuTimes"]
    assert len(taken) >= 3
    assert taken[-1][0] - taken[0][0] >= 1.9
    info = seen.fact("HostInfo")
    assert 0 <= seen.use(f"host.cpu:{info.machine}").used <= info.cores * 1.05
    assert seen.use("host.memory").limit == pytest.approx(info.memory / 2**30)
    assert seen.stored() == seen.snapshot


@pytest.mark.live
def test_two_queries_are_enough(seen: Seen) -> None:
    """One to find the machine, when connecting, and one for all facts."""
    (record,) = seen.snapshot.records
    assert sum(c.calls for c in record.costs.values()) == 1


@pytest.mark.live
def test_a_machine_can_be_named(port: int) -> None:
    good = scan(0, prometheus=f"http://127.0.0.1:{port}?instance=127.0.0.1&minutes=1")
    bad = scan(0, prometheus=f"http://127.0.0.1:{port}?instance=db9")
    assert good.snapshot.records[0].reach.ok
    assert bad.snapshot.records[0].reach.message.startswith("no such machine in this Prometheus: ")


@pytest.mark.live
def test_an_empty_prometheus_says_what_is_missing() -> None:
    with prometheus() as empty:
        (record,) = scan(0, prometheus=f"http://127.0.0.1:{empty}").snapshot.records
    assert record.reach.message == "this Prometheus has no machine: no series node_uname_info"
    assert record.reach.enable


EMPTY = b'{"status":"success","data":{"result":[]}}'


def page(asked: Asked, count: int) -> Answer:
    kinds = {
        "html": Answer(200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><title>x</title>"),
        "json": Answer(200, {}, b'{"a": 1}'),
        "list": Answer(200, {}, b"[]"),
        "odd": Answer(200, {}, b'{"status":"success","data":{"result":[{"metric":{"a":"b"}}]}}'),
        "empty": Answer(200, {}, EMPTY),
        "wanted": Answer(401, {}, b"hush"),
        "starting": Answer(503, {}, b"hush"),
    }
    return kinds[asked.path.split("/")[1]]


@pytest.mark.parametrize(
    ("path", "category", "message"),
    [
        ("html", "answer", "what answers is not JSON: an HTML page"),
        ("json", "answer", "what answers is JSON, but not Prometheus'"),
        ("list", "answer", "what answers is JSON, but not Prometheus'"),
        ("odd", "answer", "Prometheus answers in another form than documented"),
        ("empty", "answer", "this Prometheus has no machine"),
        ("wanted", "auth", "refused with HTTP 401"),
        ("starting", "answer", "/starting/api/v1/query answers HTTP 503"),
    ],
)
def test_whatever_else_answers_gives_one_line(path: str, category: str, message: str) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(site(page)).url(f"/{path}")
        found = scan(0, prometheus=url)
    (record,) = found.snapshot.records
    assert (record.reach.ok, record.reach.category) == (False, category)
    assert record.reach.message.startswith(message)
    assert record.reach.enable
    assert "hush" not in str(record)
