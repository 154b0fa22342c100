"""Healthy controls: one file each, with a `FAULT` that has no checks; nothing may be named."""
