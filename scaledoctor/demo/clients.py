"""The load's own process: ``python -m scaledoctor.demo.clients --plan JSON``.

It prints a line of JSON each `TICK` seconds and a last one with the result. A client sends its
next request after the last reply and a pause, so that a slow service is asked less often.
"""

import argparse
import http.client
import json
import math
import random
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

TICK = 0.25  # seconds between two progress reports
TIMEOUT = 3.0  # seconds until a client gives up on a reply
PAUSE = 0.05  # seconds before the next try after a failure, so that refusals do not spin

Request = tuple[str, str]
"""Method, path."""


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """Who asks for what and for how long.

    `mix` maps request templates to weights: in ``GET /product/{1000}`` the number in braces
    becomes an integer from 1 to it. Pauses are uniform around `think_ms`, from half to one and a
    half of it. The same seed gives the same requests and pauses for each client.
    """

    url: str
    clients: int
    seconds: float
    think_ms: float
    mix: Mapping[str, float]
    seed: int = 0

    def to_json(self) -> str:
        """The plan as one line of JSON."""
        return json.dumps(asdict(self))


@dataclass(slots=True)
class Tally:
    """What one client has seen: when each good reply came, after how long, and its failures."""

    times: list[float] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


def run(plan: LoadPlan) -> None:
    """Run the clients for the plan's time, print progress, then the result."""
    tallies = [Tally() for _ in range(plan.clients)]
    start = time.monotonic()
    end = start + plan.seconds
    for number, tally in enumerate(tallies):
        draw = random.Random(f"{plan.seed} {number}")
        # Daemons: requests open at the end are neither waited for nor counted.
        threading.Thread(target=_client, args=(plan, draw, tally, end), daemon=True).start()
    while (now := time.monotonic()) < end:
        _print({"tick": [now, sum(len(tally.times) for tally in tallies)]})
        time.sleep(min(TICK, max(0.0, end - now)))
    _print({"result": _result(plan, tallies, start)})


def _client(plan: LoadPlan, draw: random.Random, tally: Tally, end: float) -> None:
    address = urlsplit(plan.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=TIMEOUT)
    think = plan.think_ms / 1_000
    time.sleep(think * draw.random())  # so that they do not start in step
    while (began := time.monotonic()) < end:
        error = _ask(connection, *drawn(plan.mix, draw))
        now = time.monotonic()
        if now >= end:
            break
        if error:
            tally.errors[error] += 1
            time.sleep(PAUSE)
        else:
            tally.times.append(now)
            tally.latencies_ms.append((now - began) * 1_000)
        time.sleep(think * draw.uniform(0.5, 1.5))


def drawn(mix: Mapping[str, float], draw: random.Random) -> Request:
    """The next request of a client: a template by its weight, its numbers filled in."""
    template = draw.choices(list(mix), list(mix.values()))[0]
    method, _, path = template.partition(" ")
    return method, re.sub(r"{(\d+)}", lambda limit: str(draw.randint(1, int(limit[1]))), path)


def _ask(connection: http.client.HTTPConnection, method: str, path: str) -> str:
    """Send one request; the kind of its failure, or nothing."""
    try:
        connection.request(method, path)
        reply = connection.getresponse()
        reply.read()
    except TimeoutError:
        error = "timeout"
    except ConnectionRefusedError:
        error = "refused"
    except (OSError, http.client.HTTPException):
        error = "reset"
    else:
        return "" if reply.status < 400 else str(reply.status)
    connection.close()  # the next request opens a new one
    return error


def _result(plan: LoadPlan, tallies: list[Tally], start: float) -> dict[str, object]:
    latencies = sorted(latency for tally in tallies for latency in tuple(tally.latencies_ms))
    seconds = Counter(int(at - start) for tally in tallies for at in tuple(tally.times))
    errors = sum((tally.errors.copy() for tally in tallies), Counter[str]())
    return {
        "seconds": plan.seconds,
        "ok": len(latencies),
        "errors": dict(errors),
        "throughput": len(latencies) / plan.seconds,
        "p50_ms": _quantile(latencies, 50),
        "p95_ms": _quantile(latencies, 95),
        "p99_ms": _quantile(latencies, 99),
        "per_second": [seconds[second] for second in range(math.ceil(plan.seconds))],
    }


def _quantile(ordered: list[float], percent: int) -> float:
    """The nearest-rank percentile; 0 of nothing."""
    rank = -(-len(ordered) * percent // 100)  # rounded up
    return ordered[rank - 1] if ordered else 0.0


def _print(report: dict[str, object]) -> None:
    sys.stdout.write(f"{json.dumps(report)}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="Closed-loop HTTP clients.")
    parser.add_argument("--plan", required=True, help="a LoadPlan as JSON")
    run(LoadPlan(**json.loads(parser.parse_args(arguments).plan)))


if __name__ == "__main__":
    main(sys.argv[1:])
