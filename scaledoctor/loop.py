"""An event loop that ends when its work does, whatever the name server is doing."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from scaledoctor.errors import Unavailable, Unreachable

P = ParamSpec("P")
T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine as ``asyncio.run`` does, but wait for no thread at the end.

    asyncio looks up names in threads, and no deadline and no Ctrl-C ends a thread: a name server
    that does not answer holds one for as long as the resolver tries, 10 to 40 seconds.
    """
    with asyncio.Runner() as runner:
        runner.get_loop().set_default_executor(_Unwaited())
        return runner.run(main)


class _Unwaited(ThreadPoolExecutor):
    """Each call in a daemon thread of its own, which ends with the process."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start it at once."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            # All that a name lookup raises, and what a source says that reads in a thread.
            except (OSError, ValueError, Unavailable, Unreachable) as error:
                future.set_exception(error)
            finally:
                if not future.done():
                    future.set_exception(RuntimeError("the call failed in its thread"))

        threading.Thread(target=work, daemon=True).start()
        return future
