"""Faults on real servers with a known right answer, and their closed-loop proof."""
