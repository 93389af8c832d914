"""Has a change ended? Used for drift and for the comparison of versions."""
