"""A stream, its reference monitors, and the partition that owns it."""
