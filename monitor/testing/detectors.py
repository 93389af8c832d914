"""What every detector must do: the checks of `monitor.detection.detectors.base.Detector`.

    def test_my_detector():
        check_detector(MyDetector)
        check_finds(MyDetector)

May import `monitor.detection` and below.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import msgspec

from monitor.detection.detectors.base import Detector, Reading, Status
from monitor.errors import StateError

NOT_A_VALUE = (math.nan, math.inf, -math.inf)
CALM = 600
"""Values without a change before the values with one."""
CHANGED = 300
"""Values with a change of three standard deviations, which any detector finds within 250."""
AFTER = 200
"""Values for which a restored detector is compared with the original."""


def values_with_a_change(calm: int = CALM, changed: int = CHANGED, seed: int = 1) -> list[float]:
    """Numbers, normal with standard deviation 1, whose mean is 0 for `calm` of them and 3 for `changed` more."""
    random = Random(seed)
    return [random.gauss(0.0 if i < calm else 3.0, 1.0) for i in range(calm + changed)]


def check_detector(make: Callable[[], Detector]) -> None:
    """Checks that a detector keeps its contract. Raises `AssertionError` with what is wrong.

    `make` gives a fresh detector each time, always the same. Readings are well formed; equal values bring equal ones;
    what is no finite number changes nothing; a snapshot is plain data, taking it changes nothing, and restoring it
    anywhere goes on as the original would; other formats and other detectors' snapshots are refused with the state
    unchanged; a constant and huge values do no harm; memory does not grow with the values.
    """
    values = values_with_a_change()
    readings = _run(make(), values)
    _check_readings(readings)
    assert _run(make(), values) == readings, "equal values gave other readings"
    _check_not_a_value(make, values, readings)
    _check_snapshots(make, values, readings)
    _check_refusals(make, values)
    for odd in ([5.0] * CALM, [0.0, 1e300, -1e300] * (CALM // 3)):
        _check_readings(_run(make(), odd))
    _check_memory(make)


def check_finds(make: Callable[[], Detector], *, within: int = 250, false_alarms: int = 0) -> int:
    """A step of three standard deviations is found within `within` values, and before it no more than `false_alarms`.

    Returns the delay, in values.
    """
    drifts = [i for i, r in enumerate(_run(make(), values_with_a_change())) if r.status is Status.DRIFT]
    before = [i for i in drifts if i < CALM]
    assert len(before) <= false_alarms, f"drift at {before} where nothing changes"
    after = [i - CALM for i in drifts if i >= CALM]
    assert after, "the step was not found"
    assert after[0] < within, f"the step was found only after {after[0]} values"
    return after[0]


def _run(detector: Detector, values: Sequence[float]) -> list[Reading]:
    return [detector.update(value) for value in values]


def _check_readings(readings: Sequence[Reading]) -> None:
    for count, reading in enumerate(readings, start=1):
        assert isinstance(reading, Reading), f"{reading!r} is no Reading"
        assert isinstance(reading.status, Status), f"status {reading.status!r} is no Status"
        assert reading.n_seen == count, f"n_seen is {reading.n_seen} after {count} values"
        assert math.isfinite(reading.score), f"score {reading.score} after {count} values"
        assert math.isfinite(reading.threshold), f"threshold {reading.threshold} after {count} values"


def _check_not_a_value(make: Callable[[], Detector], values: Sequence[float], readings: Sequence[Reading]) -> None:
    detector = make()
    for i, (value, expected) in enumerate(zip(values, readings, strict=True)):
        assert detector.update(value) == expected, "what is no finite number changed later readings"
        if i % 50 == 0:
            before = _plain(detector.snapshot())
            for odd in NOT_A_VALUE:
                assert detector.update(odd) == expected, f"{odd} changed the reading"
            assert _plain(detector.snapshot()) == before, "what is no finite number changed the state"


def _check_snapshots(make: Callable[[], Detector], values: Sequence[float], readings: Sequence[Reading]) -> None:
    for at in (0, CALM // 3, CALM - 1, CALM + 5):
        then, expected = values[at : at + AFTER], list(readings[at : at + AFTER])
        original = make()
        _run(original, values[:at])
        data = _plain(original.snapshot())
        restored = make()
        restored.restore(msgspec.msgpack.decode(data))
        assert _plain(restored.snapshot()) == data, f"restored after {at} values, the snapshot is another one"
        assert _run(restored, then) == expected, f"restored after {at} values, it went on otherwise"
        assert _run(original, then) == expected, "taking a snapshot changed the detector"


def _check_refusals(make: Callable[[], Detector], values: Sequence[float]) -> None:
    detector = make()
    _run(detector, values[:100])
    good = detector.snapshot()
    before = _plain(good)
    for wrong in ({}, {**good, "format": 10**6}, {**good, "detector": "another"}):
        assert _refuses(detector, wrong), "took over a snapshot of another format or detector"
        assert _plain(detector.snapshot()) == before, "a refused snapshot changed the state"


def _refuses(detector: Detector, snapshot: dict[str, Any]) -> bool:
    try:
        detector.restore(snapshot)
    except StateError:
        return True
    return False


def _check_memory(make: Callable[[], Detector]) -> None:
    detector = make()
    random = Random(2)
    sizes = []
    for _ in range(3):
        _run(detector, [random.gauss(0.0, 1.0) for _ in range(CALM)])
        sizes.append(len(_plain(detector.snapshot())))
    assert sizes[2] <= 1.5 * sizes[0] + 1024, f"the state grows with the values: {sizes} bytes after {CALM} each"


def _plain(state: dict[str, Any]) -> bytes:
    found = next(_not_plain(state), None)
    assert found is None, f"a snapshot holds numbers, strings, lists and bytes, not {found!r}"
    return msgspec.msgpack.encode(state)


def _not_plain(item: object) -> Iterator[object]:
    if isinstance(item, dict):
        for key, value in item.items():
            yield from _not_plain(key)
            yield from _not_plain(value)
    elif isinstance(item, (list, tuple)):
        for value in item:
            yield from _not_plain(value)
    elif item is not None and type(item) not in (bool, int, float, str, bytes):
        yield item
