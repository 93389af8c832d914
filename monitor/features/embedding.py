"""Embedding of the outputs: a few fixed projections as number features; the vector itself travels in the batch.

May import its neighbours in this package only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.features.base import Column, FeatureSpec, Kind
from monitor.features.static_table import PROJECTIONS
from monitor.features.words import EventBatch


def random_projections(dimensions: int) -> NDArray[np.float32]:
    """Eight orthonormal directions, the same for every worker: float32 (dimensions, 8).

    For a transformer, of whose outputs we have no sample to choose directions from (Johnson and Lindenstrauss 1984:
    random ones keep distances).
    """
    if dimensions < PROJECTIONS:
        return np.eye(dimensions, dtype=np.float32)
    square = np.random.default_rng(20231106).normal(size=(dimensions, PROJECTIONS))
    return np.linalg.qr(square)[0].astype(np.float32)


class Embedding:
    """`output.embedding.p0` to `p7`: scalar products of the output's embedding with fixed directions.

    Parameters
    ----------
    projections
        float32 (d, 8): the static table's own, or `random_projections` for another embedder.
    """

    family = "embedding"
    word_columns: Mapping[str, Callable[[str], float]] = {}

    def __init__(self, projections: NDArray[np.float32]) -> None:
        self._projections = projections.astype(np.float64)
        self.features = tuple(
            FeatureSpec(f"output.embedding.p{i}", Kind.NUMBER, f"meaning of the output along direction {i}")
            for i in range(projections.shape[1])
        )

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name; missing for an output without words."""
        vectors = batch.output_embedding
        # einsum, not BLAS: a row's product must not depend on how many rows there are
        values = np.einsum("ij,jk->ik", vectors, self._projections, optimize=False)
        values[~vectors.any(axis=1)] = np.nan
        return {spec.name: batch.output.masked(values[:, i]) for i, spec in enumerate(self.features)}


class NoEmbedding:
    """Embeddings turned off: vectors of no dimension, which every family takes for missing."""

    name = "off"
    dimensions = 0

    def embed(self, texts: Sequence[str | None]) -> NDArray[np.float32]:
        """float32 (n, 0)."""
        return np.zeros((len(texts), 0), dtype=np.float32)
