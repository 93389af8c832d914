"""Feature rows as batches and as tables."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.events.schema import OutputEvent
from monitor.features.batch import FeatureBatch, concat
from monitor.features.registry import build_featurizer


@pytest.fixture(scope="module")
def batch() -> FeatureBatch:
    events = [
        OutputEvent(stream="a", id="1", time=1_700_000_000.0, output="Fine, thanks.", attributes={"tenant": "x"}),
        OutputEvent(stream="b", id="2", output=None, error="timeout"),
        OutputEvent(stream="a", id="3", time=1_700_000_002.5, output=""),
    ]
    return build_featurizer().featurize(events, source="t", partitions=None, offsets=None)


def test_a_table_for_notebooks(batch: FeatureBatch) -> None:
    frame = batch.frame()
    assert list(frame["id"]) == ["1", "2", "3"]
    assert frame["time"].iloc[0].isoformat() == "2023-11-14T22:13:20+00:00"
    assert frame["time"].isna().tolist() == [False, True, False]
    assert frame["segments"].iloc[0] == {"attributes.tenant": "x"}
    assert frame["output.length.chars"].tolist()[0] == 13
    assert np.isnan(frame["output.length.chars"].iloc[1])
    assert set(batch.names) | set(batch.categories) <= set(frame.columns)


def test_streams_come_apart_and_rows_together(batch: FeatureBatch) -> None:
    parts = dict(batch.by_stream())
    assert {name: list(part.ids) for name, part in parts.items()} == {"a": ["1", "3"], "b": ["2"]}
    joined = concat([parts["a"], parts["b"]])
    assert list(joined.ids) == ["1", "3", "2"]
    assert np.array_equal(joined.values, batch.values[[0, 2, 1]], equal_nan=True)
