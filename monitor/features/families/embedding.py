"""Embedding of both sides: a few fixed projections as number features; the output's vector also travels in the batch.

May import its neighbours in this package only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.features.base import Column, FeatureSpec, Kind, Role
from monitor.features.text.words import EventBatch, Side

DIRECTIONS: Mapping[Side, int] = {"output": 8, "input": 16}
"""How many directions of each side's embedding become number features.

Outputs have dozens of features beside these; what a question is about stands in its directions alone. With sixteen of
them other questions are distinguished from other answers as often as with 24 or 32. Each costs every stream time and
state.
"""


def random_projections(dimensions: int, count: int) -> NDArray[np.float32]:
    """Orthonormal directions, the same for every worker: float32 (dimensions, count), or all where there are fewer.

    For a transformer, of whose outputs we have no sample to choose directions from (Johnson and Lindenstrauss 1984:
    random ones keep distances).
    """
    if dimensions < count:
        return np.eye(dimensions, dtype=np.float32)
    square = np.random.default_rng(20231106).normal(size=(dimensions, count))
    return np.linalg.qr(square)[0].astype(np.float32)


class Embedding:
    """`output.embedding.p0` and on, or `input.embedding.p0`: scalar products of a text's embedding with directions.

    Of an output they are how it says it and what; of an input what is asked, which no count of its words tells.

    Parameters
    ----------
    projections
        float32 (d, k): the static table's leading ones, or `random_projections` for another embedder.
    """

    word_columns: Mapping[str, Callable[[str], float]] = {}

    def __init__(self, side: Side, projections: NDArray[np.float32]) -> None:
        self._side = side
        self.family = "embedding"
        self._projections = projections.astype(np.float64)
        said = "answered" if side == "output" else "asked"
        self.features = tuple(
            FeatureSpec(
                f"{side}.embedding.p{i}",
                Kind.NUMBER,
                f"what is {said}, along direction {i} of the embedding",
                role=Role.MEANING,
                opaque=True,
            )
            for i in range(projections.shape[1])
        )

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name; missing for a text without words."""
        text, vectors = batch.text(self._side), batch.embedding(self._side)
        # einsum, not BLAS: a row's product must not depend on how many rows there are
        values = np.einsum("ij,jk->ik", vectors, self._projections, optimize=False)
        values[~vectors.any(axis=1)] = np.nan
        return {spec.name: text.masked(values[:, i]) for i, spec in enumerate(self.features)}


class NoEmbedding:
    """Embeddings turned off: vectors of no dimension, which every family takes for missing."""

    name = "off"
    dimensions = 0

    def embed(self, texts: Sequence[str | None]) -> NDArray[np.float32]:
        """float32 (n, 0)."""
        return np.zeros((len(texts), 0), dtype=np.float32)
