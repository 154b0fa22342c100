"""What the service is told on its command line."""

import json
from dataclasses import asdict, dataclass

from scaledoctor.demo.shop.names import Names


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """Where the service listens, its database and its pool; times are in seconds.

    `workers` is how many requests it works on at once, None for no limit; `work_ms` what each
    takes besides the database, waiting for another service. While the file `late` exists, each
    reply is late by the milliseconds that stand in it. `cache` and `queue` are the ports of a Redis
    for pages and of one for jobs, None where there is none.
    """

    port: int
    dsn: str
    application_name: str
    names: Names
    pool_min: int
    pool_max: int
    late: str
    workers: int | None = None
    work_ms: float = 0.0
    cache: int | None = None
    queue: int | None = None
    pool_timeout: float = 2.0
    max_lifetime: float = 4.0  # short, so that a full server is felt soon

    def to_json(self) -> str:
        """The configuration as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "ServiceConfig":
        """The inverse of `to_json`."""
        fields = json.loads(text)
        return cls(**{**fields, "names": Names(**fields["names"])})
