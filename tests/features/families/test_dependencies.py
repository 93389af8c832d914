"""What an event says of each dependency it called."""

from __future__ import annotations

import math

import numpy as np
import pytest

from monitor.events.schema import Call, OutputEvent
from monitor.features.base import Kind
from monitor.features.batch import concat
from monitor.features.families.dependencies import (
    DURATION,
    ERRORS,
    MOST_IN_AN_EVENT,
    NO_CALLS,
    SHAPE,
    Called,
    calls_of,
    columns,
    dependency_specs,
    is_keyed,
    keyed,
    keyed_spec,
)
from monitor.features.registry import build_featurizer


def event(*calls: Call) -> OutputEvent:
    return OutputEvent(stream="s", id="1", output="fine", calls=list(calls))


def test_calls_to_one_dependency_come_together_and_to_others_stay_apart() -> None:
    [calls] = calls_of([
        event(
            Call(dependency="orders", duration_s=0.5, shape="b"),
            Call(dependency="search", duration_s=2.0, status=503),
            Call(dependency="orders", duration_s=0.25, shape="a"),
            Call(dependency="clock"),
        )
    ]) or [NO_CALLS]  # fmt: skip
    assert calls["orders"] == Called(0.75, False, "a, b")
    assert calls["search"] == Called(2.0, True, None)
    assert math.isnan(calls["clock"].duration_s)
    assert list(calls) == ["orders", "search", "clock"]


def test_without_calls_there_is_nothing_and_events_without_calls_share_it() -> None:
    assert calls_of([event(), event()]) is None
    first, second = calls_of([event(), event(Call(dependency="a"))]) or []
    assert first is NO_CALLS
    assert list(second) == ["a"]


def test_what_no_message_can_hold_is_mended_or_missing() -> None:
    [calls] = calls_of([
        event(
            Call(dependency="\ud800" + "x" * 100, shape="\udfff"),
            Call(dependency="much", duration_s=1e300),
            Call(dependency="digits", status="9" * 5000),
        )
    ]) or [NO_CALLS]  # fmt: skip
    assert calls["?" + "x" * 63].shape == "?"
    assert math.isnan(calls["much"].duration_s)
    assert not calls["digits"].failed
    many = calls_of([event(*(Call(dependency=str(i)) for i in range(100)))]) or []
    assert len(many[0]) == MOST_IN_AN_EVENT


def test_an_event_that_did_not_call_a_dependency_says_nothing_of_it() -> None:
    names, values, shapes = columns(
        [{"a": Called(0.5, True, "s")}, NO_CALLS, {"b": Called(1.0, False, None)}], ["a"], "-"
    )
    assert names == ("call.dependency.duration_s[a]", "call.dependency.errors[a]")
    assert np.array_equal(values, [[0.5, 1.0], [np.nan, np.nan], [np.nan, np.nan]], equal_nan=True)
    assert shapes == {"call.dependency.shape[a]": ["s", "-", "-"]}


@pytest.mark.parametrize("dependency", ["orders", "api.example.com", "x[1]", "]", ""])
def test_names_lead_back_to_their_declarations(dependency: str) -> None:
    specs = dependency_specs(dependency)
    assert [spec.name for spec in specs] == [keyed(feature, dependency) for feature in (DURATION, ERRORS, SHAPE)]
    assert [spec.kind for spec in specs] == [Kind.NUMBER, Kind.FLAG, Kind.CATEGORY]
    assert all(is_keyed(spec.name) and keyed_spec(spec.name) == spec for spec in specs)
    assert keyed_spec("call.dependency.duration_s") is None
    assert keyed_spec(f"call.dependency.other[{dependency}]") is None


def test_a_batch_carries_them_through_every_cut() -> None:
    events = [event(Call(dependency=name, duration_s=0.1)) if name else event() for name in ("a", "", "b", "a")]
    featurizer = build_featurizer(embedding="off")
    batch = featurizer.featurize(events, source="t")
    assert batch.calls is not None
    assert [list(calls) for calls in batch.calls] == [["a"], [], ["b"], ["a"]]
    assert [list(calls) for calls in batch.rows(1, 3).calls or []] == [[], ["b"]]
    assert [list(calls) for calls in batch.take(np.array([3, 2])).calls or []] == [["a"], ["b"]]
    bare = featurizer.featurize([event()], source="t")
    assert bare.calls is None
    assert [list(calls) for calls in concat([bare, batch.rows(0, 1)]).calls or []] == [[], ["a"]]
    frame = batch.frame()
    assert frame["call.dependency.duration_s[a]"].isna().tolist() == [False, True, True, False]
    assert build_featurizer(["length"], "off").featurize(events, source="t").calls is None
