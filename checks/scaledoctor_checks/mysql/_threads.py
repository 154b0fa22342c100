"""Threads over the window: who waits for whom, who has how many."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from scaledoctor.sdk import Window
from scaledoctor.sources.mysql import MysqlLocks, MysqlThread, MysqlThreads


@dataclass(slots=True)
class Root:
    """A thread that waits for nothing and that others wait for.

    ``blocked`` is the sum of waiters over all samples; ``by_name`` that it is named by its age
    among the open transactions, for nothing tells who holds what is awaited. ``age`` is that of
    its transaction.
    """

    id: int
    blocked: int = 0
    victims: Counter[str] = field(default_factory=Counter)
    tables: Counter[str] = field(default_factory=Counter)
    thread: MysqlThread | None = None
    age: float = 0.0
    changed: int = 0
    by_name: bool = False

    @property
    def victim_labels(self) -> str:
        """The three that wait most."""
        return ", ".join(label for label, _ in self.victims.most_common(3))


@dataclass(frozen=True, slots=True)
class Waiting:
    """All waiting of the window: mean waiting and active threads, and the roots of it."""

    samples: int
    waiting: float
    active: float
    roots: Mapping[int, Root]

    def mean(self, root: Root) -> float:
        """Threads that wait for it, on the mean."""
        return root.blocked / self.samples

    def share(self, root: Root) -> float:
        """Its part of all waiting."""
        return min(1.0, self.mean(root) / self.waiting) if self.waiting else 0.0


def waiting(threads: Window[MysqlThreads], locks: Window[MysqlLocks]) -> Waiting:
    """Charge each waiting thread to whoever is at the root of its wait, sample by sample."""
    roots: dict[int, Root] = {}
    waits = 0
    seen = list(threads)
    for number, at in enumerate(locks):
        now = seen[min(number, len(seen) - 1)]
        found = dict(_charged(now, at))
        waits += len(found)
        for waiter, (root, table, guessed) in found.items():
            one = roots.setdefault(root, Root(root))
            one.blocked += 1
            one.by_name = one.by_name or guessed
            victim, holder, open_ = now.find(waiter), now.find(root), at.transaction(root)
            one.victims[victim.label if victim else "unknown"] += 1
            one.tables[table] += 1 if table else 0
            one.thread = holder or one.thread
            if open_:
                one.age, one.changed = max(one.age, open_.seconds), open_.changed
    count = max(1, len(locks))
    return Waiting(
        samples=count,
        waiting=waits / count,
        active=threads.mean(lambda t: sum(x.active for x in t.threads)),
        roots=roots,
    )


def _charged(now: MysqlThreads, at: MysqlLocks) -> Iterator[tuple[int, tuple[int, str, bool]]]:
    """Each waiter with its root, the table, and whether the root is a guess."""
    behind: dict[int, list[int]] = {}
    tables: dict[int, str] = {}
    for wait in at.waits:
        behind.setdefault(wait.waiting, []).append(wait.blocking)
        tables[wait.waiting] = wait.table
    for waiter in behind:
        yield waiter, (_root(waiter, behind), tables[waiter], False)
    waiters = [t for t in now.threads if t.waits_for_metadata and t.id not in behind]
    names = {t.id for t in waiters}
    oldest = max(
        (t for t in at.transactions if t.thread not in names and t.thread not in behind),
        key=lambda t: t.seconds,
        default=None,
    )
    for thread in waiters if oldest else ():
        assert oldest is not None
        yield thread.id, (oldest.thread, "", True)


def _root(waiter: int, behind: Mapping[int, list[int]]) -> int:
    """Follow to a thread that waits for nothing; in a ring, the last one before it closes."""
    path = [waiter]
    while path[-1] in behind:
        further = [b for b in behind[path[-1]] if b not in path]
        if not further:
            break
        path.append(next((b for b in further if b not in behind), further[0]))
    return path[-1]


def who(thread: MysqlThread | None, number: int) -> str:
    """app@10.0.0.7 (thread 12)."""
    return f"{thread.label if thread else 'a thread that is gone'} (thread {number})"
