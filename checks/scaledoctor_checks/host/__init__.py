"""Checks on the host: CPU, quotas, memory, disks."""
