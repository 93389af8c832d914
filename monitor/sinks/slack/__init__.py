"""Sink: Slack, by an incoming webhook."""
