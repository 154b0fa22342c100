"""N+1 and its kin in a stream of statements, whatever log they come from."""
