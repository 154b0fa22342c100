"""Client load on a service: closed-loop clients in a process of their own, bounded in time."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from scaledoctor.demo.clients import LoadPlan
from scaledoctor.demo.servers.child import Child, ServerFailed, child, tail
from scaledoctor.demo.servers.workspace import workspace


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What the clients saw in `seconds` of wall time.

    `errors` counts failed requests by HTTP status or by "timeout", "refused", "reset". Latencies
    (milliseconds, nearest rank) and `throughput` (per second) are those of good replies only;
    `per_second` has the good replies of each second, the last of which may be cut.
    """

    seconds: float
    ok: int
    errors: Mapping[str, int]
    throughput: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    per_second: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RunningLoad:
    """A load in the background; it ends by itself, and with the block that started it."""

    plan: LoadPlan
    child: Child = field(repr=False)

    def result(self) -> LoadResult:
        """Wait for the end of the load; `ServerFailed` when it ended without a result."""
        try:
            self.child.process.wait(self.plan.seconds + 30)
        except subprocess.TimeoutExpired:
            raise ServerFailed("the load did not end in time") from None
        reports = self._reports("result")
        if not reports:
            raise ServerFailed(f"the load ended early: {tail(self.child.log)}")
        return LoadResult(**{**reports[0], "per_second": tuple(reports[0]["per_second"])})

    def throughput(self, since: float) -> float:
        """Good replies per second from `since`, a value of time.monotonic(), until now.

        The clients report four times a second; a span with fewer than two reports gives 0.
        """
        inside = [(at, ok) for at, ok in self._reports("tick") if at >= since]
        if len(inside) < 2:
            return 0.0
        (start, before), (end, after) = inside[0], inside[-1]
        return float((after - before) / (end - start))

    def _reports(self, kind: str) -> list[Any]:
        whole = self.child.log.read_text().rpartition("\n")[0]  # the last line may be partial
        prefix = f'{{"{kind}": '
        return [json.loads(line)[kind] for line in whole.splitlines() if line.startswith(prefix)]


@contextmanager
def start_load(
    url: str,
    *,
    clients: int,
    seconds: float,
    think_ms: float,
    mix: Mapping[str, float],
    seed: int = 0,
) -> Iterator[RunningLoad]:
    """Run a load in the background; what is left of it is stopped when the block ends.

    See `LoadPlan` for the arguments. Results are read inside the block.
    """
    plan = LoadPlan(url, clients, seconds, think_ms, dict(mix), seed)
    command = (sys.executable, "-m", "scaledoctor.demo.clients", "--plan", plan.to_json())
    with workspace("load") as folder:
        log = folder / "log"
        # Ready when the first report is out: `since` of now then covers the load alone.
        with child(command, folder=folder, ready=lambda: log.stat().st_size > 0) as running:
            yield RunningLoad(plan, running)


def run_load(
    url: str,
    *,
    clients: int,
    seconds: float,
    think_ms: float,
    mix: Mapping[str, float],
    seed: int = 0,
) -> LoadResult:
    """Run a load to its end and return what the clients saw."""
    with start_load(
        url, clients=clients, seconds=seconds, think_ms=think_ms, mix=mix, seed=seed
    ) as load:
        return load.result()
