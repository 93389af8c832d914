"""Where alerts go: one folder a receiver, each with its configuration type, README and tests."""
