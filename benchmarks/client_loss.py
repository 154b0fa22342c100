"""Throughput of a shop at full speed with and without a scan running, alternating."""

import statistics
import threading
import time

from scaledoctor.demo.load import start_load
from scaledoctor.demo.servers import postgres
from scaledoctor.demo.shop import Names, shop
from scaledoctor.engine import scan
from scaledoctor.redact import Redactor
from scaledoctor.registry import load
from scaledoctor.targets import targets

ROUNDS = 6
SECONDS = 6.0


def main() -> None:
    """Print each pair and the median loss."""
    names, registry = Names.from_seed(0), load()
    seconds = ROUNDS * 2 * (SECONDS + 1) + 20
    with (
        postgres() as server,
        shop(server, names) as place,
        start_load(
            place.url, clients=8, seconds=seconds, think_ms=5.0, mix=names.mix(), seed=1
        ) as running,
    ):
        time.sleep(4)
        ratios: list[float] = []
        for number in range(ROUNDS):
            rates: dict[bool, float] = {}
            # ABBA, so that a drift of the machine does not favour one side.
            for scanning in (False, True) if number % 2 == 0 else (True, False):
                began = time.monotonic()
                target = targets({"dsn": [place.dsn_scan]}, {})
                look = threading.Thread(
                    target=scan, args=(target, registry, Redactor(), SECONDS - 1.5)
                )
                if scanning:
                    look.start()
                time.sleep(SECONDS)
                rates[scanning] = running.throughput(since=began)
                if scanning:
                    look.join()
                time.sleep(0.5)
            ratios.append(rates[True] / rates[False])
            print(
                f"round {number + 1}: {rates[False]:7.1f}/s without, {rates[True]:7.1f}/s with, "
                f"ratio {ratios[-1]:.3f}"
            )
    loss = 1 - statistics.median(ratios)
    print(f"median loss {loss:.1%} (limit 3 %)")


if __name__ == "__main__":
    main()
