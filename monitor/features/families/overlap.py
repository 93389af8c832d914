"""Overlap of output and input: copying, a proxy for groundedness, and closeness of meaning.

May import its neighbours in this package only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from monitor.features.base import Column, FeatureSpec, Kind, Role, Worse
from monitor.features.text.ngrams import Occurrences, count_shared
from monitor.features.text.words import EventBatch

_COMMON = 5.2
"""Zipf frequency from which a word carries no content itself (the 700 most frequent words of English)."""


class Overlap:
    """How much of an output comes from its input. Missing where either side is missing or too short to compare."""

    family = "overlap"
    word_columns: Mapping[str, Callable[[str], float]] = {}
    features: tuple[FeatureSpec, ...] = (
        FeatureSpec("output.overlap.copied", Kind.NUMBER, "share of the output's trigrams that stand in the input"),
        FeatureSpec(
            "output.overlap.grounded",
            Kind.NUMBER,
            "share of the output's distinct content words and numbers that stand in the input",
            worse=Worse.DOWN,
        ),
        FeatureSpec(
            "output.overlap.similarity",
            Kind.NUMBER,
            "cosine of the embeddings of output and input",
            worse=Worse.DOWN,
            role=Role.MEANING,
        ),
    )

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name."""
        n = len(batch)
        left, right = batch.output, batch.input
        said, asked = batch.trigrams.of(0, n), batch.trigrams.of(n, 2 * n)
        # what could be checked against a source: numbers, names, all that are not very common
        claims = left.distinct_words("zipf", below=_COMMON)
        grounds = right.distinct_words()
        a, b = batch.output_embedding, batch.input_embedding
        cosine = np.einsum("ij,ij->i", a, b, dtype=np.float64)
        cosine[~(a.any(axis=1) & b.any(axis=1))] = np.nan
        comparable = right.words > 0
        return {
            "output.overlap.copied": left.masked(_share(said, asked, n, comparable)),
            "output.overlap.grounded": left.masked(_share(claims, grounds, n, comparable)),
            "output.overlap.similarity": left.masked(cosine),
        }


def _share(ours: Occurrences, theirs: Occurrences, n: int, comparable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of each text's distinct items that the other side has; NaN where there is nothing to compare."""
    whole = ours.distinct(n)
    return np.where(comparable & (whole > 0), count_shared(ours, theirs, n) / np.maximum(whole, 1), np.nan)
