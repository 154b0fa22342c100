"""Three times the ordinary traffic, on a machine that bears it."""

from scaledoctor.demo.fault import Fault, Pace
from scaledoctor.demo.faults.healthy import inject

FAULT = Fault(
    name="busy-oltp",
    story="it is the busiest hour of a good day",
    inject=inject,
    pace=Pace(think_ms=15.0),
)
