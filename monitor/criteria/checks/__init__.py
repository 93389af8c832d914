"""The checks: one module each, and one line each in `monitor.criteria.registry`."""
