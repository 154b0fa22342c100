"""Jobs that came and went, told from a list itself: where last reading's newest job stands now."""

from dataclasses import dataclass

from scaledoctor.sources.redis._allowed import MOST, Command
from scaledoctor.sources.redis._wire import Reply


@dataclass(slots=True)
class Mark:
    """The newest job at the last reading, and what was counted since the first."""

    newest: bytes | None = None
    ready: int = 0
    arrived: float = 0.0
    done: float = 0.0
    begun: bool = False

    def search(self, key: bytes) -> Command:
        """The command that finds it, from the end where jobs arrive."""
        return ("LPOS", key, self.newest or b"", "RANK", -1, "MAXLEN", MOST)

    def move(self, ready: int, newest: Reply, position: Reply) -> None:
        """Count what happened since; ``position`` is the reply to :meth:`search`.

        When the marked job is gone, all before it are too: what came meanwhile is at least what
        is there. More than 1,000 arrivals between two readings look the same, and count as many.
        """
        if self.begun:
            found = self.newest is not None and isinstance(position, int)
            came = ready - 1 - position if found else ready
            self.arrived += max(0, came)
            self.done += max(0, self.ready + came - ready)
        self.begun, self.ready = True, ready
        self.newest = newest if isinstance(newest, bytes) else None
