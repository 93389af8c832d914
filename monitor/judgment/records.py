"""What travels through `oqm.sampled`, `oqm.judgments` and `oqm.feedback`: one JSON object a message.

Readers take records of newer workers: unknown fields are skipped. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

import msgspec

from monitor.errors import InvalidEvent

VERSION = 1


class Purpose(StrEnum):
    """Why an output is judged. Only a sample with known probabilities says anything of all outputs."""

    SAMPLE = "sample"  # drawn: estimates and judged quality as a stream rest on these alone
    DIAGNOSTIC = "diagnostic"  # chosen for what it explains: examples of an alert, a person's click
    ANCHOR = "anchor"  # an output that people have labelled, judged again to watch the evaluator


class Side(StrEnum):
    """On which side of a change a diagnostic output stands."""

    BEFORE = "before"
    AFTER = "after"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A criterion by which an output is to be judged, and how it came to be drawn for it.

    `probability` is in (0, 1]; `rules` are the rules of the draw that apply to the output, sorted: its stratum.
    `by_uniform` says whether the uniform rule alone would have drawn it: only such verdicts enter drift detection.
    """

    criterion: str
    probability: float = 1.0
    rules: tuple[str, ...] = ()
    by_uniform: bool = False


class SourcePlace(msgspec.Struct, frozen=True):
    """Where the output's message stands in the log: id of its topic, partition and offset."""

    topic: str
    partition: int
    position: int


class Sampled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An output to be judged, whole.

    Attributes
    ----------
    stream, event
        Name of the stream, id of the output's event.
    time
        Of the output, seconds since 1970.
    place
        Where its message stands; None for an anchor.
    asked
        The criteria; at least one.
    output, input, prompt
        The texts as published; None where withheld. `prompt` is the prompt's or system text.
    segments
        What attribution may name: model.version, prompt.version, attributes.
    finding, side
        Of a diagnostic request: the id of the alert, and on which side of its change the output stands.
    anchor, pin
        Id of the anchor; name of the baseline that its verdict is for, where an operator asked for another one.
    slices
        The class of the input by dimension (`monitor.judgment.slices`): language, length, noise, mixed.
    """

    stream: str
    event: str
    time: float
    asked: tuple[Asked, ...]
    output: str | None
    input: str | None = None
    prompt: str | None = None
    place: SourcePlace | None = None
    purpose: Purpose = Purpose.SAMPLE
    segments: Mapping[str, str] = {}
    finding: str | None = None
    side: Side | None = None
    anchor: str | None = None
    slices: Mapping[str, str] = {}
    pin: str = ""
    v: int = VERSION


class Judgment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an evaluator says of one output by one criterion. One record for each (event, criterion, purpose, finding).

    Attributes
    ----------
    stream, event, time, place, segments, purpose, finding, side, anchor, pin, slices
        As in `Sampled`.
    criterion, probability, rules, by_uniform
        As in `Asked`.
    passed
        The verdict; None where it is missing.
    missing
        Why there is no verdict (`timeout`, `unreadable`, `refused`, `blocked`, `no_text`, ...); None where there is.
    score
        The evaluator's score or probability that the output passes, in [0, 1], where it gives one.
    rationale
        The evaluator's reason, at most 1,000 characters.
    evaluator, identity, model
        Its name in the settings; a hash of model, version, fingerprint and prompt, by which verdicts are compared and
        cached; the model as it names itself.
    tokens, cost_usd, latency_s
        What the verdict took; 0 where it came from the cache (`cached`).
    judged_at
        Seconds since 1970.
    """

    stream: str
    event: str
    time: float
    criterion: str
    purpose: Purpose = Purpose.SAMPLE
    place: SourcePlace | None = None
    probability: float = 1.0
    rules: tuple[str, ...] = ()
    by_uniform: bool = False
    segments: Mapping[str, str] = {}
    finding: str | None = None
    side: Side | None = None
    anchor: str | None = None
    slices: Mapping[str, str] = {}
    pin: str = ""
    passed: bool | None = None
    missing: str | None = None
    score: float | None = None
    rationale: str = ""
    evaluator: str = ""
    identity: str = ""
    model: str = ""
    tokens: int = 0
    cost_usd: float = 0.0
    latency_s: float = 0.0
    cached: bool = False
    judged_at: float = 0.0
    v: int = VERSION

    @property
    def stratum(self) -> str:
        """The rules that applied, as one text; `monitor.features.batch.FeatureBatch.strata` has the same form."""
        return "+".join(self.rules)


class Feedback(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a user says of one output. Of several records with one event and kind the one with the latest time counts.

    Attributes
    ----------
    event
        Id of the output's event.
    stream
        Name of its stream, where the sender knows it.
    kind
        What is said, `thumb`, `rating`, `correction` or a name of the application's.
    value
        True for a thumb up; a number of a rating; None for a correction.
    scale
        Of a rating: its lowest and highest value.
    text
        A comment, or the corrected output.
    by
        Who says so, as the application names people.
    time
        When it was said, seconds since 1970; None: when the message came.
    """

    event: str
    stream: str | None = None
    kind: str = "thumb"
    value: bool | float | None = None
    scale: tuple[float, float] | None = None
    text: str | None = None
    by: str | None = None
    time: float | None = None
    v: int = VERSION


Record = TypeVar("Record", Sampled, Judgment, Feedback)

_encoder = msgspec.json.Encoder()


def encode_record(record: Sampled | Judgment | Feedback) -> bytes:
    """One message."""
    return _encoder.encode(record)


def decode_sampled(message: bytes) -> Sampled:
    """A message of `oqm.sampled`. Raises `InvalidEvent` for bytes that are none."""
    return _decoded(Sampled, message, "oqm.sampled")


def decode_judgment(message: bytes) -> Judgment:
    """A message of `oqm.judgments`. Raises `InvalidEvent` for bytes that are none."""
    return _decoded(Judgment, message, "oqm.judgments")


def decode_feedback(message: bytes) -> Feedback:
    """A message of `oqm.feedback`. Raises `InvalidEvent` for bytes that are none."""
    return _decoded(Feedback, message, "oqm.feedback")


def _decoded(record: type[Record], message: bytes, topic: str) -> Record:
    try:
        return msgspec.json.decode(message, type=record)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidEvent("unreadable", f"not a message of {topic}: {error}") from error
