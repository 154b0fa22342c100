"""Plans of PostgreSQL: read in any format, timed node by node, judged, drawn."""
