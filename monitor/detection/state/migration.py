"""The one way from snapshots of earlier versions to the records of this one.

Records of the formats before typed records (stream 2, place in the log 1) are lists and dicts; those of 93e1875 lack
what was added later without a new number, and get what a stream had then that never saw the new thing. Everything here
is plain data and stays as it is when classes change: a later format adds a function for its own step.

Called by `monitor.detection.state.snapshot_codec.decode` for a record of another format than the present one. Pure.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from monitor.detection.state.snapshot_codec import pack
from monitor.errors import StateError

Plain = dict[str, Any]

_STREAM, _PLACE = 2, 1  # formats that are read here
FIRST_WAIT = 200
"""Rows that information of a detector waits at first (`chosen.PATIENCE`), for snapshots from before it waited."""


def stream_in_log(old: Plain) -> Plain:
    """The record of a stream with its place in the log (`StreamInLogState`). Raises `StateError` for other formats."""
    if not isinstance(old.get("format"), int) or old["format"] != _PLACE:
        raise StateError("unknown format")
    new = {**old, "format": 2}
    new["fence"] = {source: {int(p): o for p, o in fence.items()} for source, fence in old["fence"].items()}
    return new


def stream_monitor(old: Plain) -> Plain:
    """The record of a stream (`StreamMonitorState`). Raises `StateError` for other formats."""
    if not isinstance(old.get("format"), int) or old["format"] != _STREAM:
        raise StateError("unknown format")
    last_time, rate = old["times"]
    main = old["main"]
    return {
        "format": 3,
        "settings": old["settings"],
        "events": old["events"],
        "last_time": last_time,
        "rate": rate,
        "idle": old["idle"],
        "clock": old.get("clock", math.nan),
        "recent": old["recent"],
        "centre": old["centre"],
        "waiting": None if old["waiting"] is None else _rows(old["waiting"]),
        "volume": volume(old["volume"], last_time),
        "pinned": main["pinned"],
        "monitors": None if main["original"] is None else _monitors(old),
        "canary": _canary(old["canary"]),
        "suppression": [old["held"], dict(old["untold"])],
        "features": [old["dependencies"], old.get("keyed") or [[], None]],
        "objectives": old["slo"],
    }


def volume(old: list[Any], last_time: float) -> list[Any]:
    """Before lateness was watched: the last event counts as on time."""
    known = math.isfinite(last_time)
    lateness = [last_time if known else math.nan, 0, 0, 0.0, math.nan, [math.nan, math.nan]]
    return old if len(old) > 4 else [*old, lateness]


def _rows(old: list[Any]) -> list[Any]:
    """Before dependencies, and before names with a key: no row has any."""
    return [*old, *[None] * (10 - len(old))]


def _gathered(old: list[Any]) -> list[Any]:
    rows, indices = old
    return [_rows(rows), pack(np.asarray(indices, dtype=np.int64))]


def _monitors(old: Plain) -> Plain:
    return {
        "main": _monitor(old["main"]),
        "separate": [[own, _monitor(monitor)] for own, monitor in old["apart"]],
        "gathering": [[own, None if held is None else _gathered(held)] for own, held in old["gathering"]],
        "late": [[own, _late(late)] for own, late in old.get("late", [])],
    }


def _late(old: Plain) -> Plain:
    gathered = old["gathered"]
    suppressed, waiting = old["held"]
    is_open, closed_at = old["open"]
    return {
        "groups": [[_monitor(group), there] for group, there in old["groups"]],
        "gathered": None if gathered is None else [gathered[0], *_gathered(gathered[1:])],
        "suppressed": suppressed,
        "waiting": waiting,
        "open": is_open,
        "closed_at": closed_at,
    }


def _monitor(old: Plain) -> Plain:
    seen, version, evidence_from, rows_since, calm = old["counts"]
    again, told_until, wait = old.get("alone_waiting") or ([], 0, FIRST_WAIT)
    return {
        "pinned": old["pinned"],
        "views": old.get("views", ["outputs", "inputs"]),
        "seen": seen,
        "version": version,
        "evidence_from": evidence_from,
        "normal_from": old.get("normal_from", evidence_from),
        "calm": calm,
        "original": old["original"],
        "active": old["active"],
        "learning": old["learning"],
        "repetitions": _repetitions(old["repetitions"]),
        "history": _history(old["history"]),
        "evidence": old["evidence"],
        "alone": [old["alone"], {name: [at, times] for name, at, times in again}, told_until, wait],
        "open": [old["open"], old.get("recovery"), rows_since, old["stepped"]],
        "rare": [old["rare"]],
        "cooldowns": {view: _cooldown(pause) for view, pause in old["quiet"].items()},
        "examples": old["examples"],
    }


def _repetitions(old: list[int]) -> list[Any]:
    return [pack(np.asarray(old, dtype=np.uint64))]


def _history(old: list[Any]) -> list[Any]:
    flags, indices, *others = old
    return [flags, indices, None, *others] if len(indices) == 2 else [flags, None, indices, *others]


def _cooldown(old: list[int]) -> Plain:
    until, wait = old
    return {"until": until, "wait": wait}


def _canary(old: list[Any]) -> list[Any]:
    versions, pairs, accepted = old
    return [{name: own for name, *own in versions}, [_comparison(pair) for pair in pairs], accepted]


def _comparison(old: list[Any]) -> list[Any]:
    """Before recovery was tested: no column is."""
    names, found, repetitions, test, difference, window, (y, new, indices), counts, *tested = old
    gains, gain_since, new_rows, rows, pause = counts
    dtype, shape, marks = new
    is_new = pack(np.frombuffer(marks, dtype=np.dtype(dtype)).reshape(shape).astype(np.bool_))
    return [
        *names,
        found,
        _repetitions(repetitions),
        test,
        difference,
        window,
        y,
        is_new,
        indices,
        gains,
        gain_since,
        new_rows,
        rows,
        _cooldown(pause),
        tested[0] if tested else [],
    ]
