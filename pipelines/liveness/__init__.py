"""Whether a worker still makes progress."""
