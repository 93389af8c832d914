"""Detectors of a single feature, chosen in the settings."""
