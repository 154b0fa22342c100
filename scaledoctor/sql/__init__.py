"""The adapter around the SQL parsers; nobody else imports one."""

from scaledoctor.sql.normalise import normalise, shorten
from scaledoctor.sql.predicates import Predicate, equality_predicates
from scaledoctor.sql.quote import identifier, literal

__all__ = ["Predicate", "equality_predicates", "identifier", "literal", "normalise", "shorten"]
