"""Delivery of alerts with retries."""
