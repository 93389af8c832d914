"""Reads the state of river's detectors without running anything that the state names.

A river detector pickles, and a pickle is a program: whoever can write to the state topic could run code on a worker. So
a pickle is decoded here into plain values before any class of river's sees it:

1. Only the opcodes that these pickles use are accepted (`OPCODES`). Those that ask for extensions, persistent ids or
   large memo tables are not among them.
2. Each name that the pickle may mention stands in an explicit table per detector (`river.KINDS`), and even these names
   do not lead to the real class or function but to a stand-in that only notes down its arguments and its state
   (`_Noted`). A stand-in is made for one pickle, so nothing that a pickle does to it reaches another.
3. The real detector is then built from the parameters and filled with the values that were noted, each of which must
   have the type and the shape that the detector itself gives it.

Whatever does not fit raises `StateError`; callers then let the detector start from the beginning
(`monitor.detection.detectors.registry.restored`).

Called by `monitor.detection.detectors.river` only. Pure.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import struct
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

from monitor.errors import StateError

# fmt: off
OPCODES = frozenset((
    "APPEND", "APPENDS", "BINBYTES", "BINFLOAT", "BINGET", "BININT", "BININT1", "BININT2", "BINUNICODE", "BUILD",
    "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "FRAME", "LONG1", "LONG_BINGET", "MARK", "MEMOIZE", "NEWFALSE",
    "NEWOBJ", "NEWTRUE", "NONE", "PROTO", "REDUCE", "SETITEM", "SETITEMS", "SHORT_BINBYTES", "SHORT_BINUNICODE",
    "STACK_GLOBAL", "STOP", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"
))
# fmt: on
"""What protocols 4 and 5 write for these detectors: plain values, names, objects and their state."""

ADWIN_PARAMETERS = struct.Struct("<dIQdd")
"""How the state of ADWIN's compiled part begins: delta, clock, max_buckets, min_window_length, grace_period."""


class _Noted:
    """A stand-in: what a pickle would have called or built, with what it gave it."""

    name: tuple[str, str] = ("", "")

    def __new__(cls, *arguments: Any) -> _Noted:
        noted = super().__new__(cls)
        noted.arguments = arguments
        return noted

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.items: list[Any] = []
        self.state: Any = None

    def append(self, item: Any) -> None:
        """An item of a list-like object."""
        self.__dict__.setdefault("items", []).append(item)

    def __setstate__(self, state: Any) -> None:
        self.__dict__["state"] = state


class _Reader(pickle.Unpickler):
    """Gives stand-ins for the names of one detector, and refuses all others."""

    def __init__(self, data: bytes, names: frozenset[tuple[str, str]]) -> None:
        super().__init__(io.BytesIO(data))
        self._known = {name: type("_Noted", (_Noted,), {"name": name}) for name in names}

    def find_class(self, module: str, name: str, /) -> Any:
        """The stand-in for a name of the table."""
        known = self._known.get((module, name))
        if known is None:
            raise StateError(f"snapshot of a detector names {module}.{name}, which none of its state needs")
        return known


def load(detector: str, data: object, fresh: Any, names: frozenset[tuple[str, str]]) -> Any:
    """`fresh`, a new river detector with the right parameters, filled with the state that `data` (a pickle) holds.

    `names`: module and name of all that the pickle may mention.
    Raises `StateError` where `data` is not the state of such a detector with these parameters.
    """
    if not isinstance(data, bytes):
        raise StateError(f"snapshot of {detector!r} holds no state")
    try:
        unknown = {op.name for op, _, _ in pickletools.genops(data)} - OPCODES
        if unknown:
            raise StateError(f"snapshot of {detector!r} does more than hold state: {', '.join(sorted(unknown))}")
        noted = _Reader(data, names).load()
    except StateError:
        raise
    except Exception as wrong:  # "other exceptions may also be raised during unpickling", says pickle's documentation
        raise StateError(f"snapshot of {detector!r} cannot be read: {type(wrong).__name__}: {wrong}") from wrong
    state = _state(noted, type(fresh).__module__, type(fresh).__name__)
    if state.keys() != vars(fresh).keys():
        raise StateError(f"snapshot of {detector!r} has other fields than this version of river")
    filled = {name: _FIELDS.get(name, _same)(vars(fresh)[name], value) for name, value in state.items()}
    # In the order of the snapshot, so that the next one is the same bytes.
    vars(fresh).clear()
    vars(fresh).update(filled)
    return fresh


def is_panic(error: BaseException) -> bool:
    """Whether river's compiled part gave up: its errors are no `Exception`, and would end the worker."""
    return type(error).__module__ == "pyo3_runtime"


def _state(noted: object, module: str, name: str) -> dict[str, Any]:
    """The fields of an object that a stand-in of this name notes."""
    if not isinstance(noted, _Noted) or type(noted).name != (module, name):
        raise StateError(f"snapshot holds no {name}")
    state = noted.__dict__.get("state")
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise StateError(f"snapshot of {name} has no fields")
    return state


def _same(own: Any, value: Any) -> Any:
    """A field that is a parameter, and so is what it is already."""
    if type(value) is not type(own) or value != own:
        raise StateError("snapshot of a detector with other parameters")
    return value


def _flag(_: Any, value: Any) -> bool:
    if not isinstance(value, bool):
        raise StateError("snapshot of a detector does not say whether there was a drift")
    return value


def _number(_: Any, value: Any) -> float | int:
    """A number; infinity is one, as Page-Hinkley's least sum begins there."""
    if type(value) not in (int, float) or math.isnan(value):
        raise StateError("snapshot of a detector holds no number where one belongs")
    number: float | int = value
    return number


def _p_value(_: Any, value: Any) -> float | int:
    if isinstance(value, _Noted) and type(value).name[1] == "scalar" and len(value.arguments) == 2:
        raw = value.arguments[1]
        if isinstance(raw, bytes) and len(raw) == 8:
            return _number(None, struct.unpack("<d", raw)[0])
    return _number(None, value)


def _mean(own: Any, value: Any) -> Any:
    """Page-Hinkley's running mean."""
    state = _state(value, type(own).__module__, type(own).__name__)
    if state.keys() != vars(own).keys():
        raise StateError("snapshot of a mean has other fields than this version of river")
    filled = {name: _number(None, number) for name, number in state.items()}
    vars(own).clear()
    vars(own).update(filled)
    return own


def _window(own: deque[float], value: Any) -> deque[float]:
    """KSWIN's last values."""
    if not isinstance(value, _Noted) or type(value).name != ("collections", "deque"):
        raise StateError("snapshot of KSWIN holds no window")
    if value.arguments != ((), own.maxlen) and value.arguments != ([], own.maxlen):
        raise StateError("snapshot of KSWIN holds a window of another size")
    items = value.__dict__.get("items", [])
    return deque((_number(None, item) for item in items), maxlen=own.maxlen)


def _random(own: Random, value: Any) -> Random:
    """KSWIN's source of chance, which a restored detector goes on with."""
    if not isinstance(value, _Noted) or type(value).name != ("random", "Random") or value.arguments:
        raise StateError("snapshot of KSWIN holds no random state")
    try:
        own.setstate(value.__dict__["state"])
    except (KeyError, TypeError, ValueError, OverflowError) as wrong:
        raise StateError(f"snapshot of KSWIN holds no random state: {wrong}") from wrong
    return own


def _adwin(own: Any, value: Any) -> Any:
    """ADWIN's compiled part: its bytes, which must begin with its parameters."""
    state = value.__dict__.get("state") if isinstance(value, _Noted) else None
    size = ADWIN_PARAMETERS.size
    if not isinstance(state, bytes) or state[:size] != own.__getstate__()[:size]:
        raise StateError("snapshot of ADWIN with other parameters")
    try:
        own.__setstate__(state)
        whole = own.__getstate__() == state
    except BaseException as wrong:
        if not is_panic(wrong):
            raise
        raise StateError(f"snapshot of ADWIN cannot be read: {wrong}") from wrong
    if not whole:
        raise StateError("snapshot of ADWIN holds more than its state")
    return own


_FIELDS: dict[str, Callable[[Any, Any], Any]] = {
    "_drift_detected": _flag,
    "_helper": _adwin,
    "_x_mean": _mean,
    "_sum_increase": _number,
    "_sum_decrease": _number,
    "_min_increase": _number,
    "_max_decrease": _number,
    "_test_drift": lambda own, _: own,  # follows from the mode, which is a parameter
    "p_value": _p_value,
    "n": _number,
    "window": _window,
    "_rng": _random,
}
"""How a field is checked and filled; fields that are not here are parameters."""
