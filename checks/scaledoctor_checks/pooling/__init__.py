"""Checks on connection poolers and on the arithmetic of pools."""
