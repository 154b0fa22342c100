"""Every case of the lab: the demo's faults, the lab's, and the healthy controls."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping

import lab.controls
import lab.faults
from scaledoctor.demo.fault import Fault
from scaledoctor.demo.faults import FAULTS


def cases() -> Mapping[str, Fault]:
    """Cases by name, faults first; each file of lab/faults and lab/controls is one."""
    demo = [fault for fault in FAULTS.values() if not fault.healthy]
    calm = [fault for fault in FAULTS.values() if fault.healthy]
    found = (*demo, *_found(lab.faults.__name__), *calm, *_found(lab.controls.__name__))
    return {fault.name: fault for fault in found}


def _found(package: str) -> Iterator[Fault]:
    for info in pkgutil.iter_modules(importlib.import_module(package).__path__):
        fault = importlib.import_module(f"{package}.{info.name}").FAULT
        assert isinstance(fault, Fault)
        yield fault
