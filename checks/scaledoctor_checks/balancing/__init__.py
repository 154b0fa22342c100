"""Checks on balancers: health, queues, and whether the work is spread evenly."""
