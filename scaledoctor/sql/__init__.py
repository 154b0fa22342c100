"""The adapter around the SQL parsers; nobody else imports one."""

from scaledoctor.sql.normalise import normalise, shorten
from scaledoctor.sql.predicates import Predicate, equality_predicates

__all__ = ["Predicate", "equality_predicates", "normalise", "shorten"]
