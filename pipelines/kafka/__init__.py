"""Kafka connections, topics, producers and readers."""
