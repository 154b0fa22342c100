"""Nobody asks for anything."""

from scaledoctor.demo.fault import Fault, Pace
from scaledoctor.demo.faults.healthy import inject

FAULT = Fault(
    name="idle",
    story="it is night, and nobody is awake",
    inject=inject,
    pace=Pace(quiet=True),
)
