"""Overlap of output and input: copying, a proxy for groundedness, and closeness of meaning.

May import its neighbours in this package only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from monitor.features import english
from monitor.features.base import Column, FeatureSpec, Kind, Worse
from monitor.features.ngrams import Ints, count_ngrams, count_shared
from monitor.features.words import EventBatch, TextBatch

_COMMON = 5.2
"""Zipf frequency above which a word carries no content of its own (the 700 most frequent words of English)."""


def _has_content(chunk: str) -> float:
    """Whether a word could be checked against a source: a number, a name, any word that is not very common."""
    core = english.core(chunk)
    return float(bool(core) and (core[0].isdigit() or (len(core) > 2 and english.zipf(core) < _COMMON)))


class Overlap:
    """How much of an output comes from its input. Missing where either side is missing or too short to compare."""

    family = "overlap"
    word_columns: Mapping[str, Callable[[str], float]] = {"overlap.content": _has_content}
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
        ),
    )

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name."""
        n = len(batch)
        left, right = batch.output, batch.input
        trigrams = batch.trigrams
        said = trigrams.owner < n
        copied = count_shared(
            (trigrams.owner[said], trigrams.gram[said]), (trigrams.owner[~said] - n, trigrams.gram[~said]), n
        )
        claims = _distinct(left, left.values("overlap.content") > 0)
        grounded = count_shared(claims, _distinct(right, right.cores > 0), n)
        a, b = batch.output_embedding, batch.input_embedding
        cosine = np.einsum("ij,ij->i", a, b, dtype=np.float64)
        cosine[~(a.any(axis=1) & b.any(axis=1))] = np.nan
        comparable = right.words > 0
        return {
            "output.overlap.copied": left.masked(
                _share(copied, np.bincount(trigrams.owner[said], minlength=n), comparable)
            ),
            "output.overlap.grounded": left.masked(_share(grounded, np.bincount(claims[0], minlength=n), comparable)),
            "output.overlap.similarity": left.masked(cosine),
        }


def _distinct(text: TextBatch, chosen: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Owner and core of each text's distinct chosen words."""
    found = count_ngrams(text.cores[chosen], text.text_of[chosen], 1)
    return found.owner, found.gram


def _share(part: Ints, whole: Ints, comparable: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.where(comparable & (whole > 0), part / np.maximum(whole, 1), np.nan)
