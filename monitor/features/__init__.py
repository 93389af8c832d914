"""Features of output events: extractors by family, the one pass over the words, and the columns they make.

Each public name is loaded when it is first used, so that reading settings loads no table of words.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monitor.features.base import Column, Extractor, FeatureSpec, Kind, Worse
    from monitor.features.batch import FeatureBatch
    from monitor.features.featurizer import Featurizer
    from monitor.features.registry import build_featurizer, default_extractors

_HOMES = {
    "Column": "base",
    "Extractor": "base",
    "FeatureBatch": "batch",
    "FeatureSpec": "base",
    "Featurizer": "featurizer",
    "Kind": "base",
    "Worse": "base",
    "build_featurizer": "registry",
    "default_extractors": "registry",
}

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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
