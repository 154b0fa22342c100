"""One shop with all its tiers, its load, and a fault on top: shared by the demo and the lab."""

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scaledoctor.collect import Observer
from scaledoctor.demo import worker
from scaledoctor.demo.clients import LoadPlan
from scaledoctor.demo.fault import Fault
from scaledoctor.demo.load import LoadResult, RunningLoad, start_load
from scaledoctor.demo.remedy import Applied, Ours, apply
from scaledoctor.demo.servers import PostgresServer, postgres
from scaledoctor.demo.servers.binaries import choose
from scaledoctor.demo.servers.child import Child, child
from scaledoctor.demo.servers.workspace import workspace
from scaledoctor.demo.shop import Names, Shop
from scaledoctor.demo.topology import Tiers, tiers
from scaledoctor.engine import scan
from scaledoctor.model import Fix
from scaledoctor.redact import Redactor
from scaledoctor.registry import Registry, load
from scaledoctor.report import Report
from scaledoctor.targets import targets

Tell = Callable[[str], None]
"""Takes a line of progress."""

SINCE: Mapping[str, int] = {"reserved_connections": 16}
"""Settings that older servers do not know; a fault copes without them there."""

WORKER = Path(worker.__file__)


@dataclass
class Stage:
    """What runs. ``files`` are those besides the server's own that a fix may write to.

    ``more`` starts so many more workers, in a fault that has workers.
    """

    fault: Fault
    names: Names
    server: PostgresServer
    tiers: Tiers
    stack: ExitStack
    registry: Registry
    children: dict[int, Child] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    more: Callable[[int], object] | None = None

    @property
    def shop(self) -> Shop:
        """The shop itself."""
        return self.tiers.shop

    def measure(self, seconds: float) -> LoadResult:
        """Load the shop for that long and return what its clients saw."""
        with self.loaded(seconds) as running:
            return running.result()

    @contextmanager
    def loaded(self, seconds: float, *, quiet: bool = False) -> Iterator[RunningLoad]:
        """Load the shop in the background for at most that long; ``quiet``: without a client."""
        plan = self.plan(seconds, quiet=quiet)
        with start_load(
            plan.url,
            clients=plan.clients,
            seconds=seconds,
            think_ms=plan.think_ms,
            mix=plan.mix,
            seed=plan.seed,
        ) as running:
            yield running

    def plan(self, seconds: float, *, quiet: bool = False) -> LoadPlan:
        """The load: the fault's pace where it has one, else the shop's."""
        pace, names = self.fault.pace, self.names
        clients = names.clients if pace.clients is None else pace.clients
        think = names.think_ms if pace.think_ms is None else pace.think_ms
        mix = pace.mix(names)
        return LoadPlan(self.shop.url, 0 if quiet else clients, seconds, think, mix, names.seed)

    def scan(self, window: float, observer: Observer = lambda *_: None) -> Report:
        """Look at every tier and at this host, and into a log that has every statement."""
        given = dict(self.tiers.targets)
        if "log_min_duration_statement" in self.fault.settings:
            given["log"] = [str(self.server.log)]
        return scan(targets(given, {}), self.registry, Redactor(), window, observer)

    def work(self, kind: str, *, program: Path = WORKER, **plan: object) -> Child:
        """Start a process of the fault that lives as long as the stage; wait until it is ready."""
        command = (sys.executable, "-P", program, kind, json.dumps(plan))
        folder = self.stack.enter_context(workspace(kind))
        log = folder / "log"
        started = child(command, folder=folder, ready=lambda: b"ready" in log.read_bytes())
        process = self.stack.enter_context(started)
        self.children[process.pid] = process
        # A fix may have stopped it, and a stopped process does not hear SIGTERM.
        self.stack.callback(process.process.send_signal, signal.SIGCONT)
        return process

    def sql(self, *commands: str) -> None:
        """Run commands as superuser, each by itself."""
        import psycopg

        with psycopg.connect(self.shop.dsn_admin, autocommit=True) as admin:
            for command in commands:
                admin.execute(command.encode())

    def dwindled(self, role: str, most: int, patience: float) -> None:
        """Wait until a role has at most so many sessions, but no longer than `patience` seconds."""
        import psycopg

        left = "SELECT FROM pg_stat_activity WHERE usename = %s"
        until = time.monotonic() + patience
        # One connection for all looks: a new one each time would compete for the last slots.
        with psycopg.connect(self.shop.dsn_admin, autocommit=True) as admin:
            while time.monotonic() < until and admin.execute(left, (role,)).rowcount > most:
                time.sleep(0.1)

    def apply(self, fix: Fix) -> tuple[Applied, ...]:
        """Carry out a fix of the report; see `scaledoctor.demo.remedy.apply`."""
        tiers = self.tiers
        return apply(
            fix,
            Ours(
                dsn=self.shop.dsn_admin,
                children=self.children,
                files=self.files,
                pooler=tiers.pooler,
                balancer=tiers.balancer,
                cache=tiers.cache,
                more=self.more,
            ),
        )


@contextmanager
def stage(
    fault: Fault, seed: int, *, bindir: Path | None = None, tell: Tell = lambda text: None
) -> Iterator[Stage]:
    """Start a server with the fault's settings and the shop on it; all of it ends here."""
    names = Names.from_seed(seed)
    binaries = choose(bindir)
    settings = {k: v for k, v in fault.settings.items() if binaries.major >= SINCE.get(k, 0)}
    with ExitStack() as stack:
        began = time.monotonic()
        server = stack.enter_context(postgres(bindir=binaries.bindir, settings=settings))
        tell(f"PostgreSQL {server.version} started in {time.monotonic() - began:.1f} s")
        around = stack.enter_context(tiers(fault.topology, server, names, tell))
        tell(f"shop ready: {names.order_rows:,} rows in {names.table(names.orders)}")
        scene = Stage(fault, names, server, around, stack, load())
        fault.prepare(scene)
        yield scene
