from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.events.schema import OutputEvent
from monitor.features import FeatureBatch, Featurizer, Kind, build_featurizer, default_extractors
from monitor.features import featurizer as module
from monitor.features.base import Column, FeatureSpec
from monitor.features.text.words import EventBatch
from monitor.testing.features import sample_events


class Fussy:
    """Fails on events whose output is `poison`."""

    family = "fussy"
    word_columns: Mapping[str, object] = {}
    features = (
        FeatureSpec("output.fussy.length", Kind.NUMBER, "length"),
        FeatureSpec("output.fussy.first", Kind.CATEGORY, "first character"),
    )

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        if any(event.output == "poison" for event in batch.events):
            raise RuntimeError("poison")
        return {
            "output.fussy.length": batch.output.masked(batch.output.chars),
            "output.fussy.first": [event.output[:1] if event.output else None for event in batch.events],
        }


def events_of(*outputs: str | None) -> list[OutputEvent]:
    return [OutputEvent(id=str(i), stream="s", output=output, input="ask") for i, output in enumerate(outputs)]


def test_an_event_that_a_family_fails_on_misses_that_family_only() -> None:
    featurizer = Featurizer([Fussy(), *default_extractors(("length",))])  # type: ignore[list-item]
    batch = featurizer.featurize(events_of("one", "poison", "three"), source="t")
    assert batch.values[:, 0].tolist() == pytest.approx([3, np.nan, 5], nan_ok=True)
    assert batch.values[:, batch.names.index("output.length.chars")].tolist() == [3, 6, 5]
    assert batch.categories["output.fussy.first"] == ["o", None, "t"]
    assert featurizer.failures == {"fussy": 1}


class Wrong(Fussy):
    """Returns for a poisonous event what no family may."""

    def __init__(self, wrong: Any) -> None:
        self._wrong = wrong

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        poisoned = any(event.output == "poison" for event in batch.events)
        columns = {} if poisoned else dict(super().extract(batch))
        if poisoned and self._wrong is not None:
            columns = {spec.name: self._wrong for spec in self.features}
        return columns


@pytest.mark.parametrize("wrong", [None, [], [1.0] * 9, ["text"]], ids=["no column", "none", "too many", "no numbers"])
def test_a_family_that_returns_what_it_did_not_declare_fails_as_one_that_raises(wrong: Any) -> None:
    featurizer = Featurizer([Wrong(wrong), *default_extractors(("length",))])  # type: ignore[list-item]
    batch = featurizer.featurize(events_of("one", "poison", "three"), source="t")
    assert batch.values[:, 0].tolist() == pytest.approx([3, np.nan, 5], nan_ok=True)
    assert batch.values[:, batch.names.index("output.length.chars")].tolist() == [3, 6, 5]
    assert featurizer.failures == {"fussy": 1}


class FussyEmbedder:
    """Fails on a text."""

    name, dimensions = "fussy", 256

    def embed(self, texts: Sequence[str | None]) -> NDArray[np.float32]:
        if "poison" in texts:
            raise RuntimeError("poison")
        return np.full((len(texts), 256), 1 / 16, dtype=np.float32)


def test_an_embedder_that_raises_costs_its_event_and_what_is_read_off_embeddings() -> None:
    featurizer = Featurizer(default_extractors(), embedder=FussyEmbedder())
    batch = featurizer.featurize(events_of("one", "poison", "three"), source="t")
    assert batch.embeddings is not None
    assert batch.embeddings.tolist() == [[1 / 16] * 256, [0.0] * 256, [1 / 16] * 256]
    assert batch.values[:, batch.names.index("output.length.chars")].tolist() == [3, 6, 5]
    assert featurizer.failures == {"overlap": 1, "embedding": 1, "embedder": 1}


def test_columns_follow_the_registry() -> None:
    featurizer = build_featurizer()
    declared = [spec for family in default_extractors() for spec in family.features]
    batch = featurizer.featurize(sample_events(), source="t")
    assert list(featurizer.specs) == declared
    assert batch.names == tuple(spec.name for spec in declared if spec.kind is not Kind.CATEGORY)
    assert list(batch.categories) == [spec.name for spec in declared if spec.kind is Kind.CATEGORY]
    assert batch.embeddings is not None
    assert batch.embeddings.shape == (len(batch), 256)
    assert len(batch.segments) == len(batch.digests) == len(batch)
    assert not featurizer.failures


def same(left: FeatureBatch, right: FeatureBatch) -> None:
    np.testing.assert_array_equal(left.values, right.values)
    assert left.categories == {name: list(column) for name, column in right.categories.items()}
    assert left.embeddings is not None
    assert right.embeddings is not None
    np.testing.assert_array_equal(left.embeddings, right.embeddings)


@settings(deadline=None, max_examples=25)
@given(outputs=st.lists(st.none() | st.text(max_size=200), min_size=1, max_size=8), data=st.data())
def test_rows_do_not_depend_on_how_events_are_cut_into_batches(outputs: list[str | None], data: st.DataObject) -> None:
    events = events_of(*outputs)
    cut = data.draw(st.integers(0, len(events)))
    whole = _FEATURIZER.featurize(events, source="t")
    for rows in (np.arange(cut), np.arange(cut, len(events))):
        if len(rows):
            same(_FEATURIZER.featurize([events[i] for i in rows], source="t"), whole.take(rows))


def test_a_large_batch_is_worked_off_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    events = sample_events()
    whole = _FEATURIZER.featurize(events, source="t")
    monkeypatch.setattr(module, "_BATCH_CHARACTERS", 50)
    same(_FEATURIZER.featurize(events, source="t"), whole)


def test_an_empty_batch() -> None:
    assert len(_FEATURIZER.featurize([], source="t")) == 0


def test_places_in_the_source() -> None:
    batch = _FEATURIZER.featurize(
        events_of("a", "b"), source="topic", partitions=np.array([1, 2], np.int32), offsets=np.array([7, 9], np.int64)
    )
    assert (batch.source, batch.source_partitions.tolist(), batch.source_offsets.tolist()) == ("topic", [1, 2], [7, 9])


def test_families_and_embedding_can_be_left_out() -> None:
    featurizer = build_featurizer(("length", "overlap"), "off", excerpts=False)
    batch = featurizer.featurize(events_of("some words here"), source="t")
    assert {spec.name.split(".")[1] for spec in featurizer.specs} == {"length", "overlap"}
    assert batch.embeddings is None
    assert np.isnan(batch.values[0, batch.names.index("output.overlap.similarity")])
    assert list(batch.output_excerpts) == [""]


def test_a_feature_has_one_family() -> None:
    with pytest.raises(ValueError, match="more than one"):
        Featurizer([Fussy(), Fussy()])  # type: ignore[list-item]


_FEATURIZER = build_featurizer()
