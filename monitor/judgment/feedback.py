"""What feedback of users may say, and what it counts as: one rule for the client that sends it and all that read it.

Pure, and without numpy: the publishing client imports it in applications.
"""

from __future__ import annotations

import math
import re

import msgspec

from monitor.errors import InvalidEvent
from monitor.judgment.records import Feedback, decode_feedback

THUMB, RATING, CORRECTION = "thumb", "rating", "correction"
"""Kinds with a meaning of ours; any other name is the application's, with a value like a thumb or a rating."""
MAX_ID_CHARS = 1_024
"""As long as an event's id may be (`monitor.events.schema.MAX_ID`)."""
MAX_TEXT_CHARS = 100_000
"""Of a comment or a corrected output; longer ones are cut: no output that a person corrects by hand is longer."""
MAX_BY_CHARS = 256
KIND = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
"""Names of kinds: they become part of a criterion's name and of a stream's."""
MAX_SCALE = 1e9
"""Largest absolute value of a scale's ends: beyond it a rating is no rating of a person."""

WRONG_VALUE = "wrong_value"
"""Reason of a dead letter: the record can be read, and says what has no meaning."""


def read_feedback(message: bytes) -> Feedback:
    """A message of `oqm.feedback` as it counts. Raises `InvalidEvent` with what to change."""
    return checked(decode_feedback(message))


def checked(said: Feedback) -> Feedback:
    """The record with a comment of bounded length. Raises `InvalidEvent` where it has no meaning."""
    if not said.event or len(said.event) > MAX_ID_CHARS:
        _refuse(f"event: the id of an output has 1 to {MAX_ID_CHARS:,} characters, this one {len(said.event):,}")
    if said.stream is not None and not said.stream.strip():
        _refuse("stream: is empty; give the stream's name, or leave it out")
    if not KIND.match(said.kind):
        _refuse(f"kind: {said.kind[:40]!r} is no name of 1 to 32 small letters, digits and _, beginning with a letter")
    if said.time is not None and not (math.isfinite(said.time) and said.time >= 0):
        _refuse("time: give seconds since 1970")
    _check_value(said)
    if said.by is not None and len(said.by) > MAX_BY_CHARS:
        _refuse(f"by: has {len(said.by):,} characters, at most {MAX_BY_CHARS} are kept")
    if said.text is not None and len(said.text) > MAX_TEXT_CHARS:
        return msgspec.structs.replace(said, text=said.text[:MAX_TEXT_CHARS])
    return said


def _check_value(said: Feedback) -> None:
    value, scale = said.value, said.scale
    if scale is not None and not (all(abs(end) <= MAX_SCALE for end in scale) and scale[0] < scale[1]):
        _refuse("scale: give the lowest and the highest value that a rating can have, such as [1, 5]")
    if said.kind == CORRECTION:
        if not said.text or not said.text.strip():
            _refuse("text: a correction needs the corrected output")
        if value is not None:
            _refuse("value: a correction has none; send a thumb or a rating as well")
    elif isinstance(value, bool):
        if said.kind == RATING:
            _refuse("value: a rating is a number; for true and false send a thumb")
    elif said.kind == THUMB:
        _refuse("value: a thumb is true (up) or false (down)")
    elif value is None:
        _refuse(f"value: missing; a {said.kind} is true, false, or a number with its scale")
    elif scale is None:
        _refuse("scale: missing; a number says nothing without the lowest and highest that it can be, such as [1, 5]")
    elif not scale[0] <= value <= scale[1]:
        _refuse(f"value: {value:g} is outside of its scale {scale[0]:g} to {scale[1]:g}")


def _refuse(why: str) -> None:
    raise InvalidEvent(WRONG_VALUE, why)


def is_good(said: Feedback) -> bool | None:
    """Whether the user was content; None where the record does not say: the middle of a scale.

    A rating counts as good above the middle of its scale and as bad below. A correction is bad: who is content
    corrects nothing.
    """
    if said.kind == CORRECTION:
        return False
    if isinstance(said.value, bool) or said.value is None or said.scale is None:
        return None if said.value is None else bool(said.value)
    middle = (said.scale[0] + said.scale[1]) / 2
    return None if said.value == middle else said.value > middle


def criterion_of(kind: str) -> str:
    """Name of the criterion that feedback of a kind is counted under, beside the criteria of the settings."""
    return f"feedback_{kind}"
