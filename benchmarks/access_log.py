"""Reading access logs: megabytes per CPU second, beside plain Python loops over the same file."""

import json
import os
import random
import re
import resource
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from scaledoctor.logs.access.recognise import recognise
from scaledoctor.logs.access.servers import servers
from scaledoctor.logs.access.summary import routes
from scaledoctor.logs.access.tally import Tally
from scaledoctor.logs.readers import backwards, open_log

LINES = 200_000
ROUNDS = 3
STEP = 1 << 18
BROWSER = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36"
)

NGINX = (
    '10.1.{c}.7 - - [{day}:{clock} +0000] "GET {path} HTTP/1.1" {status} {size} '
    '"https://shop.example/" "' + BROWSER + '" rt={total:.3f} urt="{urt}" ua="{ua}" us="{us}"'
)
COMBINED = NGINX.partition(" rt=")[0]
HAPROXY = (
    "Nov 25 {clock} lb haproxy[77]: 10.1.{c}.7:4711 [{day}:{clock}.123] web~ app/s{s} "
    '0/0/0/{spent_ms}/{total_ms} {status} {size} - - ---- 9/9/3/1/0 0/0 "GET {path} HTTP/1.1"'
)
ENVOY = (
    '[2026-11-25T{clock}.310Z] "GET {path} HTTP/2" {status} - 0 {size} {total_ms} {spent_ms} '
    '"10.1.{c}.7" "' + BROWSER + '" "cc21d9b0-cf5c-432b" "shop.example" "10.0.0.{s}:8080"'
)


def requests(count: int) -> Iterator[dict[str, object]]:
    """Requests of a shop: five routes with ids, four servers, one retry in a hundred."""
    rng = random.Random(1)
    for number in range(count):
        second = number // 500
        spent = abs(rng.gauss(0.05, 0.05))
        total = spent + rng.random() * 0.01
        server, status = rng.randrange(1, 5), rng.choice([200] * 20 + [404, 500])
        again = rng.random() < 0.01
        yield {
            "c": number % 250, "day": "25/Nov/2026", "s": server, "status": status,
            "clock": f"10:{second // 60 % 60:02}:{second % 60:02}",
            "size": rng.randrange(100, 90_000), "total": total, "spent": spent,
            "total_ms": int(total * 1000), "spent_ms": int(spent * 1000),
            "path": rng.choice((
                "/", f"/orders/{rng.randrange(10**6)}", "/reports/export",
                f"/api/v1/users/{rng.randrange(10**5)}/cart?x={number}",
                f"/static/app.{rng.randrange(200):08x}.js",
            )),
            "urt": f"0.001, {spent:.3f}" if again else f"{spent:.3f}",
            "ua": f"10.0.0.9:8080, 10.0.0.{server}:8080" if again else f"10.0.0.{server}:8080",
            "us": f"502, {status}" if again else str(status),
        }  # fmt: skip


def as_json(request: dict[str, object]) -> str:
    """The request as nginx's escape=json writes it."""
    return json.dumps(
        {
            "time_iso8601": f"2026-11-25T{request['clock']}+00:00", "request_method": "GET",
            "request_uri": request["path"], "status": request["status"],
            "request_time": round(float(str(request["total"])), 3),
            "upstream_response_time": request["urt"], "upstream_addr": request["ua"],
            "upstream_status": request["us"], "agent": BROWSER,
        }
    )  # fmt: skip


FORMATS: dict[str, Callable[[dict[str, object]], str]] = {
    "nginx, upstream": lambda r: NGINX.format(**r),
    "combined": lambda r: COMBINED.format(**r),
    "HAProxy": lambda r: HAPROXY.format(**r),
    "Envoy": lambda r: ENVOY.format(**r),
    "JSON": as_json,
}


def cpu(work: Callable[[], object]) -> float:
    """The least CPU seconds of some runs of a function, those of its children included."""
    best = float("inf")
    for _ in range(ROUNDS):
        before = os.times()
        work()
        after = os.times()
        best = min(best, sum(after[:4]) - sum(before[:4]))
    return max(best, 1e-3)


def read(path: Path) -> Tally:
    """Read a whole log as a scan reads its tail, with all that it tells."""
    log = open_log(path)
    with closing(log.file) as file:
        tally = Tally(recognise(file.read(65536).splitlines()[:200]))
        for block in backwards(file, 0, log.size, STEP):
            tally.add(block)
    routes(tally)
    servers(tally)
    return tally


def loop(path: Path) -> int:
    """Iterate over the lines and do nothing."""
    with path.open("rb") as file:
        return sum(1 for _ in file)


FIELDS = re.compile(r'"(\S+) (\S+)[^"]*" (\d{3}) .*? rt=(\S+) urt="([^"]*)"')


def usual(path: Path) -> dict[tuple[str, str], float]:
    """What one writes by hand: a regular expression for each line, a sum for each path."""
    found: dict[tuple[str, str], float] = {}
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if match := FIELDS.search(line):
                method, target, _, total, _ = match.groups()
                key = (method, target.partition("?")[0])
                found[key] = found.get(key, 0.0) + float(total)
    return found


def peak() -> float:
    """The most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print megabytes per CPU second, requests per CPU second, and the memory that grew."""
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'':28} {'MB':>6} {'MB/CPU s':>9} {'requests/CPU s':>15}")
        for name, line in FORMATS.items():
            path = Path(folder, "access.log")
            with path.open("w", encoding="ascii") as file:
                file.writelines(f"{line(request)}\n" for request in requests(LINES))
            size, before = path.stat().st_size / 1e6, peak()
            assert read(path).understood == LINES
            grown = peak() - before
            row(name, size, cpu(partial(read, path)))
            print(f"{'  memory':28} {grown:6.0f} MB grew")
            if name.startswith("nginx"):
                row("  for line in file", size, cpu(partial(loop, path)))
                row("  a regex for each line", size, cpu(partial(usual, path)))


def row(name: str, size: float, seconds: float) -> None:
    """Print one line of the table."""
    print(f"{name:28} {size:6.1f} {size / seconds:9.0f} {LINES / seconds:15,.0f}")


if __name__ == "__main__":
    main()
