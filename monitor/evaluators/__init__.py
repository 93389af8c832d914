"""Evaluation models: what judges a sample of the outputs by criteria that no program can check."""
