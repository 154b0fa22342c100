"""PostgreSQL 13 to 18: each fact stands next to the query that fills it."""

from scaledoctor.sources.postgres.activity import Activity, Session
from scaledoctor.sources.postgres.counters import DatabaseCounters, Databases
from scaledoctor.sources.postgres.locks import Lock, LockTable
from scaledoctor.sources.postgres.newcomers import Newcomer, Newcomers
from scaledoctor.sources.postgres.plans import Plans, StatementPlan
from scaledoctor.sources.postgres.replay import Replay
from scaledoctor.sources.postgres.server import Server, Settings
from scaledoctor.sources.postgres.statements import Statement, Statements
from scaledoctor.sources.postgres.tables import Table, Tables
from scaledoctor.sources.postgres.xmin import XminHolder, XminHolders

__all__ = [
    "Activity",
    "DatabaseCounters",
    "Databases",
    "Lock",
    "LockTable",
    "Newcomer",
    "Newcomers",
    "Plans",
    "Replay",
    "Server",
    "Session",
    "Settings",
    "Statement",
    "StatementPlan",
    "Statements",
    "Table",
    "Tables",
    "XminHolder",
    "XminHolders",
]
