"""Sink: any HTTP endpoint, signed."""
