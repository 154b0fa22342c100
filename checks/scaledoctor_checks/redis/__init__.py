"""The health of Redis and Valkey: as a cache, and as a place for jobs."""
