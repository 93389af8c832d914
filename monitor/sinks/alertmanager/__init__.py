"""Sink: Prometheus Alertmanager, API v2."""
