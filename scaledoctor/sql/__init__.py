"""The adapter around the SQL parsers; nobody else imports one."""

from scaledoctor.sql.conditions import Condition, conditions
from scaledoctor.sql.mask import mask
from scaledoctor.sql.normalise import normalise, shorten
from scaledoctor.sql.predicates import Predicate, equality_predicates
from scaledoctor.sql.quote import identifier, literal

__all__ = [
    "Condition",
    "Predicate",
    "conditions",
    "equality_predicates",
    "identifier",
    "literal",
    "mask",
    "normalise",
    "shorten",
]
