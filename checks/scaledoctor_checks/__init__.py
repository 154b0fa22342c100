"""The built-in checks: facts in, findings out."""
