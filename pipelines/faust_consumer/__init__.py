"""Faust's consumer group: the only place that imports Faust."""
