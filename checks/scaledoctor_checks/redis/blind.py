"""What of a Redis's health cannot be seen."""

from collections.abc import Iterator

from scaledoctor.sdk import Evidence, Finding, Fix, Kind, Severity, Step, check
from scaledoctor.sources.redis.config import RedisConfig
from scaledoctor.sources.redis.health import RedisHealth
from scaledoctor.sources.redis.keys import RedisKeys
from scaledoctor.sources.redis.session import GRANT
from scaledoctor.sources.redis.slow import RedisSlow


@check("redis.health-unseen", step=Step.IDENTIFY)
def health_unseen(
    health: RedisHealth,
    config: RedisConfig | None,
    slow: RedisSlow | None,
    keys: RedisKeys | None,
    /,
) -> Iterator[Finding]:
    """Part of the health of this Redis cannot be seen.

    Why: what was not seen is not healthy.
    How measured: CONFIG GET, SLOWLOG, LATENCY or MEMORY USAGE were refused, as managed services
    and users with few rights do; or it is one node of a cluster, and its health alone was read.
    Fix: the rights that only read; a scan of each node.
    When to ignore: the provider does not give them.
    References: Redis, ACL; INFO.
    """
    unseen = [
        what
        for what, missing in (
            ("settings (CONFIG GET)", config is None),
            ("the slow log (SLOWLOG GET)", slow is None or slow.commands is None),
            ("stalls (LATENCY LATEST)", slow is None or slow.events is None),
            ("sizes of keys (MEMORY USAGE)", keys is None),
            ("the other nodes of the cluster", health.cluster),
        )
        if missing
    ]
    if not unseen:
        return
    yield Finding(
        subject="health",
        summary=f"not seen: {', '.join(unseen)}",
        severity=Severity.LOW,
        evidence=tuple(Evidence("not seen", what) for what in unseen),
        fixes=(
            Fix(
                "Allow what only reads; name each node",
                (f"redis-cli {GRANT.format(user='scaledoctor')}",
                 "scaledoctor scan --redis redis://node1:6379 --redis redis://node2:6379"),
                "shell",
                risk="CONFIG GET also shows passwords that stand in the file; this scan asks for "
                "a few settings by name",
                verify="this line is gone",
                undo="redis-cli ACL SETUSER scaledoctor -config|get -slowlog|get -latency|latest",
            ),
        ),
        kind=Kind.BLIND_SPOT,
    )  # fmt: skip
