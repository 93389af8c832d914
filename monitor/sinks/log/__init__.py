"""Sink: standard output."""
