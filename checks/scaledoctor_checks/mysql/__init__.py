"""Checks on MySQL and MariaDB."""
