"""The demo's faults, by name."""

from collections.abc import Mapping

from scaledoctor.demo.fault import Fault
from scaledoctor.demo.faults import (
    connection_leak,
    ddl_queue,
    healthy,
    idle_in_transaction,
    missing_index,
)

FAULTS: Mapping[str, Fault] = {
    module.FAULT.name: module.FAULT
    for module in (idle_in_transaction, connection_leak, ddl_queue, missing_index, healthy)
}
