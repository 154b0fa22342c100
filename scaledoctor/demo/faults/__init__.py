"""The demo's faults, by name."""

from collections.abc import Mapping

from scaledoctor.demo.fault import Fault
from scaledoctor.demo.faults import (
    backend_down,
    cache_evictions,
    connection_leak,
    ddl_queue,
    healthy,
    idle_in_transaction,
    missing_index,
    n_plus_one,
    pool_too_small,
    slow_backend,
    too_few_workers,
)

_MODULES = (
    idle_in_transaction,
    connection_leak,
    ddl_queue,
    missing_index,
    n_plus_one,
    pool_too_small,
    slow_backend,
    backend_down,
    cache_evictions,
    too_few_workers,
    healthy,
)

FAULTS: Mapping[str, Fault] = {module.FAULT.name: module.FAULT for module in _MODULES}
