"""The catalogue of problems: each rule has its guard against false alarms."""

from scaledoctor.plans.rules.estimates import RULES as ESTIMATES
from scaledoctor.plans.rules.indexes import RULES as INDEXES
from scaledoctor.plans.rules.joins import RULES as JOINS
from scaledoctor.plans.rules.memory import RULES as MEMORY
from scaledoctor.plans.rules.scans import RULES as SCANS
from scaledoctor.plans.rules.subplans import RULES as SUBPLANS
from scaledoctor.plans.rules.whole import RULES as WHOLE

RULES = (*INDEXES, *SCANS, *JOINS, *SUBPLANS, *MEMORY, *ESTIMATES, *WHOLE)

__all__ = ["RULES"]
