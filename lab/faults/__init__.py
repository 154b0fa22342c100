"""Faults: one file each, with a `FAULT`."""
