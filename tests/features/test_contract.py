from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from monitor.features.base import Column, Extractor, FeatureSpec, Kind
from monitor.features.families.embedding import DIRECTIONS
from monitor.features.registry import default_extractors
from monitor.features.text.words import EventBatch
from monitor.testing.features import check_extractor


@pytest.mark.parametrize("extractor", default_extractors(), ids=lambda e: f"{e.features[0].side}-{e.family}")
def test_every_family_keeps_the_contract(extractor: Extractor) -> None:
    check_extractor(extractor)


class _Family:
    family = "mine"
    word_columns: Mapping[str, object] = {}
    features = (FeatureSpec("output.mine.length", Kind.NUMBER, "length"),)

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        return {"output.mine.length": batch.output.masked(batch.output.chars)}


class _BatchMean(_Family):
    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        n = len(batch)
        return {"output.mine.length": batch.output.masked(np.full(n, batch.output.chars.mean() if n else 0))}


class _ZeroForMissing(_Family):
    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        return {"output.mine.length": batch.output.chars.astype(np.float32)}


class _Misnamed(_Family):
    features = (FeatureSpec("length", Kind.NUMBER, "length"),)


class _Doubles(_Family):
    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        return {"output.mine.length": np.full(len(batch), 0.5)}  # type: ignore[dict-item]


def test_a_family_of_a_user_can_pass() -> None:
    check_extractor(_Family())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (_BatchMean(), "same event"),
        (_ZeroForMissing(), "missing"),
        (_Misnamed(), "<side>"),
        (_Doubles(), "float32"),
    ],
)
def test_the_check_finds_what_breaks_the_contract(broken: Extractor, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_extractor(broken)


def test_names_that_others_rely_on() -> None:
    names = {spec.name for extractor in default_extractors() for spec in extractor.features}
    assert {
        "output.length.chars",
        "output.length.empty",
        "output.tone.refusal",
        "output.tone.sentiment",
        "input.language.code",
        "input.noise.score",
        "call.latency.total_s",
    } <= names


def test_the_input_has_its_own_embedding_features() -> None:
    names = [spec.name for extractor in default_extractors() for spec in extractor.features]
    asked = [name for name in names if name.startswith("input.embedding.")]
    assert asked == [f"input.embedding.p{i}" for i in range(DIRECTIONS["input"])]
