"""Versions that run at the same time, compared with each other."""
