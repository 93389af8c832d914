"""Alembic's migrations of the trace store."""
