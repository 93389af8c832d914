"""Detectors of a single number: river's and our own, held to the one contract."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from pydantic import ValidationError

from monitor.detection import DetectionSettings, Detector, Reading, Status
from monitor.detection.detectors import registry
from monitor.detection.detectors.river import RiverDetector
from monitor.detection.settings import DetectorChoice
from monitor.errors import StateError
from monitor.testing.detectors import CALM, CHANGED, check_detector, check_finds, values_with_a_change

MADE: dict[str, Callable[[], Detector]] = {
    **{name: partial(registry.build, name) for name in registry.NAMES},
    "adwin, strict": lambda: registry.build("adwin", {"delta": 1e-4, "clock": 16}),
    "kswin, strict": lambda: registry.build("kswin", {"alpha": 1e-4}),
    "kswin, seeded": lambda: registry.build("kswin", {"window_size": 200, "stat_size": 50, "seed": 7, "alpha": 1e-5}),
    "evidence, short": lambda: registry.build("evidence", {"warmup": 60, "mean_run_length": 10_000}),
}


@pytest.mark.parametrize("name", MADE)
def test_keeps_the_contract(name: str) -> None:
    check_detector(MADE[name])


@pytest.mark.parametrize(
    ("name", "within", "false_alarms"),
    [
        ("adwin", 60, 0),
        ("page_hinkley", 60, 1),
        ("kswin, strict", 60, 3),
        ("evidence", 12, 0),
        ("evidence, short", 20, 0),
    ],
)
def test_finds_a_step_and_is_calm_before_it(name: str, within: int, false_alarms: int) -> None:
    check_finds(MADE[name], within=within, false_alarms=false_alarms)


def test_where_drift_is_found_is_always_the_same() -> None:
    drifts = {
        name: [i for i, value in enumerate(values_with_a_change()) if detector.update(value).status is Status.DRIFT]
        for name in ("adwin", "page_hinkley")
        for detector in [MADE[name]()]
    }
    assert drifts == {"adwin": [607], "page_hinkley": [573, 621]}, "Page-Hinkley rings once where nothing changes"


def test_after_drift_it_starts_afresh_and_finds_the_next() -> None:
    values = values_with_a_change() + [v - 6 for v in values_with_a_change()[CALM:]]
    for name in ("adwin", "page_hinkley", "evidence"):
        detector = MADE[name]()
        drifts = [i for i, value in enumerate(values) if detector.update(value).status is Status.DRIFT]
        assert any(CALM <= i < CALM + 100 for i in drifts), name
        assert any(CALM + CHANGED <= i < CALM + CHANGED + 100 for i in drifts), name


def test_one_nan_does_not_blind_it() -> None:
    """River's own ADWIN and Page-Hinkley never find anything again after one."""
    for name in ("adwin", "page_hinkley"):
        detector = MADE[name]()
        detector.update(math.nan)
        found = [i for i, value in enumerate(values_with_a_change()) if detector.update(value).status is Status.DRIFT]
        assert found, name


NONSENSE: list[tuple[str, dict[str, float], str]] = [
    ("adwin", {"delta": 5}, "delta must be > 0 and < 1"),
    ("adwin", {"delta": 0}, "delta"),
    ("adwin", {"delta": -1}, "delta"),
    ("adwin", {"delta": math.nan}, "delta"),
    ("adwin", {"clock": 1.5}, "clock must be a whole number"),
    ("adwin", {"threshold": 50}, "has no parameter 'threshold'; it has clock, delta"),
    ("page_hinkley", {"threshold": -50}, "threshold"),
    ("page_hinkley", {"threshold": math.inf}, "threshold"),
    ("page_hinkley", {"alpha": 2}, "alpha"),
    ("page_hinkley", {"min_instances": 0}, "min_instances"),
    ("kswin", {"alpha": 1}, "alpha"),
    ("kswin", {"window_size": 50, "stat_size": 30}, "at least twice stat_size"),
    ("kswin", {"stat_size": 60}, "at least twice stat_size"),
    ("kswin", {"seed": -5}, "seed"),
    ("evidence", {"warmup": 10}, "warmup"),
    ("evidence", {"warmup": math.inf}, "warmup"),
    ("evidence", {"mean_run_length": 0.5}, "mean_run_length"),
    ("evidence", {"mean_run_length": math.nan}, "mean_run_length"),
    ("evidence", {"delta": 0.1}, "has no parameter 'delta'"),
]


@pytest.mark.parametrize(("name", "parameters", "says"), NONSENSE)
def test_parameters_that_mean_nothing_are_refused_and_named(name: Any, parameters: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        registry.build(name, parameters)
    with pytest.raises(ValidationError, match=says):
        DetectorChoice(detector=name, parameters=parameters)
    with pytest.raises(ValidationError, match=says):
        DetectionSettings.model_validate({"detectors": [{"detector": name, "parameters": parameters}]})


def test_an_unknown_detector_is_refused() -> None:
    with pytest.raises(ValueError, match="no detector 'ddm'; there are"):
        registry.build("ddm")
    with pytest.raises(StateError, match="ddm"):
        registry.restore({"format": 1, "detector": "ddm"})


@pytest.mark.parametrize("name", registry.NAMES)
def test_a_snapshot_says_which_detector_to_build(name: str) -> None:
    detector = registry.build(name)
    for value in values_with_a_change()[:500]:
        detector.update(value)
    restored = registry.restore(detector.snapshot())
    assert type(restored) is type(detector)
    for value in values_with_a_change()[500:800]:
        assert restored.update(value) == detector.update(value)


def test_a_snapshot_of_one_is_refused_by_another() -> None:
    adwin, kswin, evidence = (registry.build(name) for name in ("adwin", "kswin", "evidence"))
    for one, other in ((adwin, kswin), (kswin, adwin), (adwin, evidence), (evidence, adwin)):
        with pytest.raises(StateError, match="cannot be read by"):
            one.restore(other.snapshot())


# The contract's checks are worth something only if a detector that breaks it fails them.


class _Broken(RiverDetector):
    def __init__(self) -> None:
        super().__init__("page_hinkley")


class _TakesNaN(_Broken):
    def update(self, value: float) -> Reading:
        return super().update(0.0 if math.isnan(value) else value)


class _ForgetsItsCount(_Broken):
    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._n = 0


class _TakesAnySnapshot(_Broken):
    def restore(self, state: dict[str, Any]) -> None:
        if state.get("detector") == self.detector:
            super().restore({**state, "format": 1})


class _KeepsAllValues(_Broken):
    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def update(self, value: float) -> Reading:
        if math.isfinite(value):
            self.values.append(value)
        return super().update(value)

    def snapshot(self) -> dict[str, Any]:
        return {**super().snapshot(), "values": list(self.values)}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.values = list(state["values"])


class _SnapshotsItself(_Broken):
    def snapshot(self) -> dict[str, Any]:
        return {**super().snapshot(), "self": self}


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (_TakesNaN, "nan changed"),
        (_ForgetsItsCount, "snapshot is another one|went on otherwise"),
        (_TakesAnySnapshot, "took over a snapshot"),
        (_KeepsAllValues, "state grows"),
        (_SnapshotsItself, "a snapshot holds numbers"),
    ],
)
def test_a_detector_that_breaks_the_contract_fails_the_checks(broken: Callable[[], Detector], says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check_detector(broken)


def test_a_detector_that_never_finds_anything_fails_the_check() -> None:
    with pytest.raises(AssertionError, match="not found"):
        check_finds(lambda: registry.build("page_hinkley", {"threshold": 1e9}))
