"""Names the bottleneck of a running backend, proves it, and walks you through the fix."""

__version__ = "0.1.0"
