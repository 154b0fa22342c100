"""Prometheus' HTTP API: instant queries, whose answer may be a vector or a matrix."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from scaledoctor.sdk import Unavailable
from scaledoctor.sources._http import Http
from scaledoctor.sources._metrics import Sample
from scaledoctor.sources.node_exporter._series import WANTED, Series

ENABLE = "give the address of Prometheus itself, as in http://host:9090"
NODES = '{__name__=~"node_uname_info|node_boot_time_seconds"}'
MOST = 120
"""Moments kept of a history: one every 2.5 s of the usual five minutes."""

History = tuple[tuple[float, Series], ...]
"""(seconds before the newest moment, its series), the oldest first."""


async def query(web: Http, base: str, expression: str) -> list[dict[str, Any]]:
    """The rows that one expression gives now.

    Raises:
        Unreachable: nobody answers, or we are refused.
        Unavailable: what answers is not Prometheus, or not ready.

    """
    answer = await web.get(f"{base}/api/v1/query?{urlencode({'query': expression})}")
    found = answer.json("what answers")
    try:
        rows: list[dict[str, Any]] = found["data"]["result"]
        good = found["status"] == "success" and all("metric" in row for row in rows)
    except (KeyError, TypeError):
        good, rows = False, []
    if not good:
        raise Unavailable("what answers is JSON, but not Prometheus'", ENABLE)
    return rows


def nodes(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Series]:
    """What an instant query gave, by (instance, job).

    Raises:
        Unavailable: the answer has another form.

    """
    found: dict[tuple[str, str], list[Sample]] = {}
    with as_documented():
        for row in rows:
            labels = row["metric"]
            key = (labels.get("instance", ""), labels.get("job", ""))
            sample = Sample(labels["__name__"], labels, float(row["value"][1]))
            found.setdefault(key, []).append(sample)
    return {key: Series.of(several) for key, several in found.items()}


def expression(labels: Mapping[str, str], minutes: int) -> str:
    """All that facts are made of, of one machine, over the last minutes."""
    where = [f"{name}={_quoted(value)}" for name, value in labels.items()]
    where.append(f'__name__=~"{"|".join(WANTED)}"')
    return f"{{{','.join(where)}}}[{minutes}m]"


def history(rows: list[dict[str, Any]]) -> History:
    """Put the samples of each scrape together: they have one time.

    Raises:
        Unavailable: the answer has another form, or is empty.

    """
    moments: dict[float, list[Sample]] = {}
    with as_documented():
        for row in rows:
            name = row["metric"]["__name__"]
            for at, value in row["values"]:
                moments.setdefault(at, []).append(Sample(name, row["metric"], float(value)))
    if not moments:
        raise Unavailable("Prometheus has nothing of this machine in these minutes")
    times = sorted(moments)
    apart = max(1, -(-len(times) // MOST))
    chosen = times[::-apart][::-1]
    return tuple((at - times[-1], Series.of(moments[at])) for at in chosen)


@contextmanager
def as_documented() -> Iterator[None]:
    """Turn an answer of another form than documented into Unavailable."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise Unavailable("Prometheus answers in another form than documented") from None


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'
