"""An output whose reader went away is a part of an output: its call is measured, its text is not."""

from __future__ import annotations

import numpy as np

from monitor.events import Latency, OutputEvent
from monitor.events.excerpt_parts import head_of
from monitor.features.registry import build_featurizer


def test_an_abandoned_output_is_no_failure_and_no_text() -> None:
    latency = Latency(total_s=1.0, first_token_s=0.5)
    events = [
        OutputEvent(stream="bot", id="1", output="It arrived. Then it was", finish_reason=reason, latency=latency)
        for reason in ("abandoned", "length")
    ]
    events.append(OutputEvent(stream="bot", id="3", output="", finish_reason="abandoned"))
    batch = build_featurizer().featurize(events, source="test")
    columns = dict(zip(batch.names, batch.values.T, strict=True))
    for name, column in columns.items():
        if name.startswith("output."):
            assert np.isnan(column[[0, 2]]).all(), name
    assert columns["output.length.words"][1] == 5
    assert columns["call.outcome.error"].tolist() == [0, 0, 0]
    assert columns["call.latency.first_token_s"][0] == 0.5
    assert np.isnan(columns["call.latency.total_s"][0])
    assert columns["call.latency.total_s"][1] == 1.0
    assert batch.categories["call.outcome.finish_reason"] == ["abandoned", "length", "abandoned"]
    assert head_of(batch.output_excerpts[0]) == "It arrived. Then it was"
