"""Checks on the application from outside: its answers over HTTP and its access log."""
