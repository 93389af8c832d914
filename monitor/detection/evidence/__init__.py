"""Evidence against the reference, row by row."""
