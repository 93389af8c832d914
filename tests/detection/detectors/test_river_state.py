"""River's state in a snapshot: read as values, never run, and only where the settings choose the detector."""

from __future__ import annotations

import collections
import copyreg
import io
import os
import pickle
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from monitor.detection import StreamMonitor
from monitor.detection.detectors import registry
from monitor.detection.detectors.river import RiverDetector
from monitor.detection.settings import DetectorChoice
from monitor.errors import StateError
from monitor.testing.detectors import values_with_a_change
from tests.detection.streams import CHARS, LATENCY, SETTINGS, WORDS, calm, decoded, fired, recoded, replay, watch

RIVER = ("adwin", "page_hinkley", "kswin")
STRICT: dict[str, dict[str, float]] = {
    "adwin": {"delta": 1e-3, "clock": 16},
    "page_hinkley": {"threshold": 20},
    "kswin": {"alpha": 1e-5, "window_size": 120, "stat_size": 40, "seed": 7},
}


def used(name: str, n: int = 450, parameters: dict[str, float] | None = None) -> RiverDetector:
    detector = RiverDetector(name, parameters)
    for value in values_with_a_change()[:n]:
        detector.update(value)
    return detector


class _Calls:
    """Pickles as a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def marked(tmp_path: Path) -> tuple[Path, str]:
    """A file that is there once code from a snapshot has run, and a command that makes it."""
    mark = tmp_path / "ran"
    return mark, f"touch {mark}"


def protocol_4(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


def text(value: str) -> bytes:
    raw = value.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


def call(module: str, name: str, argument: str) -> bytes:
    """STACK_GLOBAL, a tuple of one text, REDUCE."""
    return text(module) + text(name) + b"\x93" + text(argument) + b"\x85R"


def fields_of(detector: RiverDetector) -> dict[str, Any]:
    return dict(vars(detector._inner))


def _unframed(data: bytes) -> bytes:
    """Without the frame, whose length no longer fits."""
    assert data[2:3] == b"\x95"
    return data[:2] + data[11:]


def with_fields(detector: RiverDetector, **changed: Any) -> bytes:
    """A pickle of the detector with other fields."""
    inner = type(detector._inner)
    state = _unframed(pickle.dumps({**fields_of(detector), **changed}, protocol=4))[2:-1]
    return protocol_4(text(inner.__module__), text(inner.__name__), b"\x93)\x81", state, b"b")


def malicious(tmp_path: Path, name: str) -> dict[str, bytes]:
    _, command = marked(tmp_path)
    detector = used(name)
    inner = type(detector._inner)
    good = detector.snapshot()["inner"]
    first = next(iter(fields_of(detector)))
    own = text(inner.__module__) + text(inner.__name__) + b"\x93"
    return {
        "print": pickle.dumps(_Calls(print, "ran")),
        "os.system": pickle.dumps(_Calls(os.system, command)),
        "protocol 0": pickle.dumps(_Calls(os.system, command), protocol=0),
        "protocol 2": pickle.dumps(_Calls(os.system, command), protocol=2),
        "nested in a field": with_fields(detector, **{first: _Calls(os.system, command)}),
        "nested in a list": with_fields(detector, **{first: [[_Calls(os.system, command)]]}),
        "of copyreg": pickle.dumps(_Calls(copyreg._reconstructor, object, object, None)),  # type: ignore[attr-defined]
        "eval": protocol_4(call("builtins", "eval", f"__import__('os').system('{command}')")),
        "a dotted name": protocol_4(call(inner.__module__, f"{inner.__name__}.update.__globals__", "os")),
        "a name of a module that it names": protocol_4(call(inner.__module__, "annotations", "x")),
        "a dotted module": protocol_4(call("os.path", "os.system", command)),
        "GLOBAL": b"cos\nsystem\n(S'" + command.encode() + b"'\ntR.",
        "INST": b"(S'" + command.encode() + b"'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nS'" + command.encode() + b"'\no.",
        "an extension": protocol_4(b"\x82\x01"),
        "a longer extension": protocol_4(b"\x84\x01\x00\x00\x00"),
        "a persistent id": b"\x80\x04" + text("x") + b"Q.",
        "a buffer of its own": b"\x80\x05\x97.",
        "a huge memo": b"\x80\x04Nr\xff\xff\xff\x7f.",
        "state for a class": protocol_4(own, b"N}", text("update"), own, b"s\x86b"),
        "another object": pickle.dumps(collections.OrderedDict(a=1)),
        "plain values": pickle.dumps({"a": 1}),
        "a class": pickle.dumps(inner),
        "cut": good[:-20],
        "cut within": good[: len(good) // 2],
        "nothing": b"",
        "no pickle": b"\x00" * 64,
        "more behind it": good[:-1] + b"0" + call("os", "system", command) + b".",
        "without a field": with_fields(detector)[:-1] + b"}b.",
        "a field more": with_fields(detector, extra=1),
        "a field of another type": with_fields(detector, **{first: "text"}),
        "a flag of another type": with_fields(detector, _drift_detected="yes"),
    }


@pytest.mark.parametrize("name", RIVER)
def test_a_malicious_state_is_refused_and_nothing_runs(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    detector = used(name)
    good = detector.snapshot()
    for case, data in malicious(tmp_path, name).items():
        with pytest.raises(StateError, match="snapshot"):
            detector.restore({**good, "inner": data})
        assert detector.snapshot() == good, f"{case}: it stays as it was"
        assert not marked(tmp_path)[0].exists(), case
        assert capsys.readouterr().out == "", case
        assert registry.restored(name, {}, {**good, "inner": data}) is None, case
    fresh, again = RiverDetector(name), used(name)
    for value in values_with_a_change()[450:700]:
        assert again.update(value) == detector.update(value)
        fresh.update(value)  # classes are as they were


def test_a_registered_extension_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """`copyreg` may hold codes of some library's, and its cache would hand out the object itself."""
    monkeypatch.setitem(copyreg._inverted_registry, 240, ("os", "system"))  # type: ignore[attr-defined]
    monkeypatch.setitem(copyreg._extension_cache, 240, os.system)  # type: ignore[attr-defined]
    data = protocol_4(b"\x82\xf0" + text("true") + b"\x85R")
    assert pickle.loads(data) == 0, "as a plain unpickler would"
    with pytest.raises(StateError, match="EXT1"):
        RiverDetector("adwin").restore({**used("adwin").snapshot(), "inner": data})


def test_page_hinkleys_method_cannot_be_another_attribute() -> None:
    """It is pickled as `getattr`; whatever it asks for, the method follows from the parameters."""
    detector = used("page_hinkley")

    class _Getattr:
        def __reduce__(self) -> Any:
            return getattr, (detector._inner, "__class__")

    data = with_fields(detector, _test_drift=_Getattr())
    restored = RiverDetector("page_hinkley")
    restored.restore({**detector.snapshot(), "inner": data})
    assert restored._inner._test_drift.__name__ == "_test_both"


@pytest.mark.parametrize("name", RIVER)
@pytest.mark.parametrize("n", [0, 1, 40, 450, 605, 610, 650])
@pytest.mark.parametrize("strict", [False, True])
def test_every_detector_goes_on_where_it_was(name: str, n: int, strict: bool) -> None:
    parameters = STRICT[name] if strict else {}
    original = used(name, n, parameters)
    restored = registry.restored(name, parameters, msgspec.msgpack.decode(msgspec.msgpack.encode(original.snapshot())))
    assert restored is not None
    assert restored.snapshot() == original.snapshot()
    for value in values_with_a_change()[n:]:
        assert restored.update(value) == original.update(value)
    assert restored.snapshot() == original.snapshot()


@pytest.mark.parametrize("name", RIVER)
@pytest.mark.parametrize("protocol", [4, 5])
def test_a_snapshot_of_an_earlier_version_is_read(name: str, protocol: int) -> None:
    """It pickled whatever there was: KSWIN's last p-value as a scalar of numpy's."""
    import numpy as np

    original = used(name)
    if name == "kswin":
        original._inner.p_value = np.float64(original._inner.p_value)
    state = {**original.snapshot(), "inner": pickle.dumps(original._inner, protocol=protocol)}
    restored = registry.restored(name, {}, state)
    assert restored is not None
    for value in values_with_a_change()[450:]:
        assert restored.update(value) == original.update(value)


def test_random_bytes_of_adwins_compiled_part_end_nothing() -> None:
    """It panics on them, and a panic is no `Exception`: the worker would end."""
    rng = random.Random(3)
    detector = used("adwin")
    good = detector.snapshot()
    own = detector._inner._helper
    state = own.__getstate__()
    whole = pickle.dumps(detector._inner)
    assert whole.count(state) == 1
    for _ in range(150):
        broken = bytearray(state)
        for _ in range(rng.randrange(1, 4)):
            broken[rng.randrange(36, len(broken))] = rng.randrange(256)
        data = whole.replace(state, bytes(broken))
        read = registry.restored("adwin", {}, {**good, "inner": data})
        for value in values_with_a_change() if read is not None else []:
            assert read is not None
            read.update(value)
    for short in (state[:40], state[:-8], state + b"\x00" * 8, b""):
        made = io.BytesIO()
        pickler = pickle.Pickler(made, protocol=4)
        pickler.dump(short)
        data = whole.replace(_bytes_op(state), _bytes_op(short))
        assert data != whole
        assert registry.restored("adwin", {}, {**good, "inner": _unframed(data)}) is None


def _bytes_op(data: bytes) -> bytes:
    return b"C" + bytes([len(data)]) + data if len(data) < 256 else b"B" + struct.pack("<I", len(data)) + data


@pytest.mark.parametrize(
    "wrong",
    [
        {"parameters": {"delta": 5}},
        {"parameters": {"delta": "x"}},
        {"parameters": None},
        {"parameters": {"other": 1}},
        {"n": "x"},
        {"n": None},
        {"last": []},
        {"last": ["no status", 0.0, 0.0, 0]},
        {"inner": None},
        {"inner": "text"},
    ],
)
def test_what_else_is_wrong_in_a_snapshot_is_refused(wrong: dict[str, Any]) -> None:
    detector = used("adwin")
    good = detector.snapshot()
    with pytest.raises(StateError):
        detector.restore({**good, **wrong})
    with pytest.raises(StateError):
        detector.restore({key: value for key, value in good.items() if key not in wrong})
    assert detector.snapshot() == good
    assert registry.restored("adwin", {}, {**good, **wrong}) is None


def test_state_of_a_detector_with_other_parameters_is_not_taken() -> None:
    """Its window would be judged by thresholds that nobody chose."""
    state = used("adwin", parameters={"delta": 0.5}).snapshot()
    assert registry.restored("adwin", {}, state) is None
    lying = {**state, "parameters": {}}
    assert registry.restored("adwin", {}, lying) is None


# In a stream's snapshot


def chosen(features: str = CHARS, detector: str = "adwin") -> StreamMonitor:
    choice = DetectorChoice(features=features, detector=detector)
    return watch(SETTINGS.model_copy(update={"detectors": (choice,)}))


def restored_with(monitor: StreamMonitor, alone: dict[str, Any]) -> StreamMonitor:
    state = decoded(monitor.snapshot())
    detectors = state["monitors"]["main"]["alone"][0]
    detectors.update(alone)
    other = watch()
    other.restore(recoded(state))
    return other


def evil(tmp_path: Path, good: dict[str, Any]) -> dict[str, Any]:
    return {**good, "inner": pickle.dumps(_Calls(os.system, marked(tmp_path)[1]))}


def test_state_that_the_settings_do_not_choose_is_not_even_read(tmp_path: Path) -> None:
    monitor = watch()
    replay(monitor, calm(500, 1))
    state = evil(tmp_path, used("adwin").snapshot())
    for names in ((CHARS,), (CHARS, LATENCY, "x")):
        other = restored_with(monitor, dict.fromkeys(names, state))
        assert other.snapshot() == monitor.snapshot(), "as if nothing had been there"
    assert not marked(tmp_path)[0].exists()


@pytest.mark.parametrize("detector", RIVER)
def test_a_stream_whose_detector_cannot_be_read_goes_on_with_a_fresh_one(tmp_path: Path, detector: str) -> None:
    monitor = chosen(detector=detector)
    replay(monitor, calm(500, 1))
    state = evil(tmp_path, used(detector).snapshot())
    others = [
        restored_with(monitor, {CHARS: each, WORDS: each}) for each in (state, {}, 5, None, {"detector": detector})
    ]
    assert not marked(tmp_path)[0].exists()
    snapshots = {other.snapshot() for other in others}
    assert len(snapshots) == 1, "always alike"
    alone = decoded(snapshots.pop())["monitors"]["main"]["alone"][0]
    assert list(alone) == [CHARS]
    assert alone[CHARS]["n"] == 0
    later = calm(900, 4)
    later.ids = [f"later-{i}" for i in later.ids]
    later[LATENCY][300:] *= 3
    assert fired(replay(others[0], later))


def test_a_snapshot_of_another_detector_than_is_chosen_now_is_not_taken() -> None:
    monitor = chosen()
    replay(monitor, calm(500, 1))
    other = restored_with(monitor, {CHARS: used("kswin").snapshot()})
    assert decoded(other.snapshot())["monitors"]["main"]["alone"][0][CHARS]["detector"] == "adwin"
