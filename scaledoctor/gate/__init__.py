"""The gate: a scan beside a baseline, without crying wolf."""

from scaledoctor.gate.baseline import Baseline, baseline, read, write
from scaledoctor.gate.compare import compare
from scaledoctor.gate.counters import Counter, conditions, counters

__all__ = ["Baseline", "Counter", "baseline", "compare", "conditions", "counters", "read", "write"]
