"""The built-in sources: they read, redact and keep deadlines; they never judge."""
