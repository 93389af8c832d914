"""Features of output events: extractors by family, the one pass over the words, and the columns they make."""

from monitor.features.base import Column, Extractor, FeatureSpec, Kind, Worse
from monitor.features.batch import FeatureBatch
from monitor.features.featurizer import Featurizer
from monitor.features.registry import build_featurizer, default_extractors

__all__ = [
    "Column",
    "Extractor",
    "FeatureBatch",
    "FeatureSpec",
    "Featurizer",
    "Kind",
    "Worse",
    "build_featurizer",
    "default_extractors",
]
