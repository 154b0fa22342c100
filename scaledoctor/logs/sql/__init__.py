"""SQL logs: entries of any format, statements as templates, and what they cost."""
