"""Feature extractors, one family a module."""
