"""How a Redis does: INFO at both edges of the window, so that every counter has a rate."""

from dataclasses import dataclass

from scaledoctor.sdk import Cadence, Unavailable, fact, probe
from scaledoctor.sources.redis._info import Info
from scaledoctor.sources.redis.session import RedisSession, info_of


@dataclass(frozen=True, slots=True)
class RedisMemory:
    """Bytes; ``limit`` is maxmemory, 0 for none; ``policy`` is empty where it is not told.

    ``resident`` is what the system gives the process, ``peak`` the most that was ever ``used``.
    ``machine`` is all that the machine has.
    """

    used: int
    resident: int
    peak: int
    startup: int
    limit: int
    policy: str
    machine: int

    @property
    def evicts_all(self) -> bool:
        """Any key may go when it is full."""
        return self.policy.startswith("allkeys-")

    @property
    def evicts(self) -> bool:
        """Keys go when it is full: any, or those with a time to live."""
        return self.policy not in ("", "noeviction")

    @property
    def share(self) -> float:
        """Of the limit, what is used; 0 without a limit."""
        return self.used / self.limit if self.limit else 0.0


@dataclass(frozen=True, slots=True)
class RedisPersistence:
    """How data gets to the disk; ``fork`` is the seconds that the last fork stopped everything.

    ``saved`` and ``written`` say whether the last snapshot and the last append went well;
    ``delayed`` counts appends that waited for the disk. ``unsaved`` are changes since the last
    snapshot.
    """

    saved: bool
    unsaved: int
    append_only: bool
    written: bool
    delayed: int
    fork: float
    forks: int


@dataclass(frozen=True, slots=True)
class RedisReplica:
    """A replica as its master tells: its state, bytes behind, seconds since its last word."""

    state: str
    behind: int
    silent: int


@dataclass(frozen=True, slots=True)
class RedisReplication:
    """``linked`` False: a replica that has lost its master, ``apart`` seconds ago.

    ``apart`` is None for one that never had it; ``syncing`` while it gets its first copy.

    ``full`` counts complete copies that were sent to replicas, ``backlog`` is what a replica may
    miss without one, in bytes.
    """

    replica: bool
    linked: bool
    apart: int | None
    syncing: bool
    replicas: tuple[RedisReplica, ...]
    full: int
    backlog: int


@dataclass(frozen=True, slots=True)
class RedisCommand:
    """One command since the start; ``seconds`` on the main thread, waiting left out."""

    name: str
    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RedisDatabase:
    """Keys of one database, and those of them that have a time to live."""

    number: int
    keys: int
    expires: int


@fact
@dataclass(frozen=True, slots=True)
class RedisHealth:
    """One server at one moment; counters since its start.

    ``main_thread`` is CPU seconds of the thread that runs every command, None where only the
    process is told and it has more threads. ``errors`` counts refusals by their first word, such
    as OOM and MISCONF; None before version 6.2. ``cluster`` says that this is one of several.
    """

    product: str
    version: str
    uptime: int
    cluster: bool
    memory: RedisMemory
    connected: int
    clients_limit: int | None
    blocked: int
    connections: int
    rejected: int
    commands_run: int
    hits: int
    misses: int
    evicted: int
    expired: int
    main_thread: float | None
    io_threads: bool
    persistence: RedisPersistence
    replication: RedisReplication
    commands: tuple[RedisCommand, ...]
    errors: dict[str, int] | None
    databases: tuple[RedisDatabase, ...]

    @property
    def keys(self) -> int:
        """Keys in all databases."""
        return sum(d.keys for d in self.databases)

    @property
    def lookups(self) -> int:
        """Reads of a key, found or not."""
        return self.hits + self.misses

    def command(self, name: str) -> RedisCommand:
        """What one command has done."""
        found = (c for c in self.commands if c.name == name)
        return next(found, RedisCommand(name, 0, 0.0))

    def refused(self, word: str) -> int:
        """How often it has refused something with that word."""
        return (self.errors or {}).get(word, 0)


@probe(cost="1 INFO, some 10 kB and 0.1 ms, at both edges", cadence=Cadence.EDGES)
async def redis_health(redis: RedisSession) -> RedisHealth:
    """Read INFO with the counters of each command."""
    (reply,) = await redis.run(("INFO", "all"))
    if not isinstance(reply, bytes):
        raise Unavailable("INFO all gives nothing here", redis.grant)
    return health_of(Info(info_of(reply)))


def health_of(info: Info) -> RedisHealth:
    """Read a server's INFO."""
    return RedisHealth(
        product=_product(info),
        version=info.text("valkey_version") or info.text("redis_version"),
        uptime=info.count("uptime_in_seconds"),
        cluster=info.text("cluster_enabled") == "1",
        memory=_memory(info),
        connected=info.count("connected_clients"),
        clients_limit=info.known("maxclients"),
        blocked=info.count("blocked_clients"),
        connections=info.count("total_connections_received"),
        rejected=info.count("rejected_connections"),
        commands_run=info.count("total_commands_processed"),
        hits=info.count("keyspace_hits"),
        misses=info.count("keyspace_misses"),
        evicted=info.count("evicted_keys"),
        expired=info.count("expired_keys"),
        main_thread=_main_thread(info),
        io_threads=info.text("io_threads_active") == "1",
        persistence=_persistence(info),
        replication=_replication(info),
        commands=tuple(
            RedisCommand(name.lower(), int(told["calls"]), float(told["usec"]) / 1e6)
            for name, told in info.named("cmdstat_")
        ),
        errors=_errors(info),
        databases=tuple(
            RedisDatabase(int(number), int(told["keys"]), int(told["expires"]))
            for number, told in info.named("db")
            if number.isdigit()
        ),
    )


def _product(info: Info) -> str:
    if info.text("dragonfly_version"):
        return "Dragonfly"
    return "Valkey" if info.text("valkey_version") else "Redis"


def _memory(info: Info) -> RedisMemory:
    return RedisMemory(
        used=info.count("used_memory"),
        resident=info.count("used_memory_rss"),
        peak=info.count("used_memory_peak"),
        startup=info.count("used_memory_startup"),
        limit=info.count("maxmemory"),
        policy=info.text("maxmemory_policy"),
        machine=info.count("total_system_memory"),
    )


def _main_thread(info: Info) -> float | None:
    """The main thread's time is told from 6.2 on; before, the process had hardly another."""
    for end in ("_main_thread", ""):
        user, system = info.number(f"used_cpu_user{end}"), info.number(f"used_cpu_sys{end}")
        if user is not None and system is not None:
            return round(user + system, 6)
    return None


def _persistence(info: Info) -> RedisPersistence:
    return RedisPersistence(
        saved=info.fine("rdb_last_bgsave_status"),
        unsaved=info.count("rdb_changes_since_last_save"),
        append_only=info.text("aof_enabled") == "1",
        written=info.fine("aof_last_write_status"),
        delayed=info.count("aof_delayed_fsync"),
        fork=info.count("latest_fork_usec") / 1e6,
        forks=info.count("total_forks"),
    )


def _replication(info: Info) -> RedisReplication:
    offset = info.count("master_repl_offset")
    apart = info.count("master_link_down_since_seconds")
    return RedisReplication(
        replica=info.text("role") == "slave",
        linked=info.text("master_link_status") in ("", "up"),
        apart=None if info.text("master_link_down_since_seconds") == "-1" else apart,
        syncing=info.text("master_sync_in_progress") == "1",
        replicas=tuple(
            RedisReplica(
                state=told.get("state", ""),
                behind=max(0, offset - int(told.get("offset", 0))),
                silent=int(told.get("lag", 0)),
            )
            for number, told in info.named("slave")
            if number.isdigit()
        ),
        full=info.count("sync_full"),
        backlog=info.count("repl_backlog_size"),
    )


def _errors(info: Info) -> dict[str, int] | None:
    if "total_error_replies" not in info.lines:
        return None
    return {name: int(told["count"]) for name, told in info.named("errorstat_")}
