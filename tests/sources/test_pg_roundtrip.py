"""The time of a question to a real server, in its parts."""

import pytest

from scaledoctor.demo.servers import PostgresServer
from tests.sources.pg import record

pytestmark = pytest.mark.live


def test_the_parts_of_a_round_trip(shop: PostgresServer) -> None:
    """Over TCP the kernel tells the way, which on loopback is next to nothing."""
    trips = [
        trip for _, trip in record(shop.dsn(user="watcher", dbname="shop")).samples["RoundTrip"]
    ]
    assert len(trips) >= 2
    for trip in trips:
        assert 0 < trip.server <= trip.seconds
        assert trip.network is not None
        assert 0 < trip.network < trip.seconds
        assert trip.own > 0
        assert 0 <= trip.lost <= trip.seconds
