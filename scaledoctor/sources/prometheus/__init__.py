"""A machine by what Prometheus has kept of its node_exporter: the host's facts as a history."""
