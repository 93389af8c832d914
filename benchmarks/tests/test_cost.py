from __future__ import annotations

from benchmarks.cost import FEATURES
from monitor.features.registry import default_extractors


def test_the_features_that_streams_are_costed_by_are_those_of_the_output() -> None:
    """`benchmarks.cost` takes the first `FEATURES` columns, so what is measured of the input comes after them."""
    names = [spec.name for extractor in default_extractors() for spec in extractor.features]
    assert min(names.index(name) for name in names if name.startswith("input.embedding.")) >= FEATURES
