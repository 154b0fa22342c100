"""Real servers, a small real shop and client load: what the demo and the lab are built from."""
