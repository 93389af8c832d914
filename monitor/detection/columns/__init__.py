"""From feature rows to the columns that are watched."""
