"""Textbook statistics that detection and judgment share: rates with intervals, corrections for several tests."""
