"""Another machine by its node_exporter: the same facts as of this host."""
