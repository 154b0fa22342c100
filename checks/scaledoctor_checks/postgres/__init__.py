"""Checks on PostgreSQL: connections, locks, transactions, statements."""
