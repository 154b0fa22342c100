"""Queues that PostgreSQL holds in tables, of every library that is known."""

from scaledoctor.sources.postgres.queues.tables import QueueTable, QueueTables

__all__ = ["QueueTable", "QueueTables"]
