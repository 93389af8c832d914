"""Sink: PagerDuty, Events API v2."""
