"""Checks on queues: is there work that waits, does it drain, and who is to do it."""
