"""Rows of judgments, and outputs to be counted, from messages of `oqm.judgments` and `oqm.features`.

Called by the worker's store stage through `monitor.store.records.Incoming`. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from monitor.judgment.records import Judgment
from monitor.judgment.slices import Slice
from monitor.store.kept_form import kept
from monitor.store.periods import DAY_S, HOUR_S
from monitor.store.privacy import FieldPolicy, Keep
from monitor.store.texts import storable

KEY_BYTES = 16
LONGEST_EARLIER_S = 7 * DAY_S
"""How long before its judgment an output may be made: one is judged within the two days that `oqm.sampled` keeps it, an
alert's examples within a few more. A time outside of this is a mistake, and must not name a day that has ended."""

LEAST_PROBABILITY = 1e-9  # a verdict weighs one over its probability, which a record of another program may say is 0
MOST_TOKENS = 2**62  # the columns' integers have 64 bits

ATTRIBUTES = "attributes."  # beginning of the names of segments that the application adds

_STRICTNESS = (Keep.FULL, Keep.MASKED, Keep.HASH, Keep.NONE)


class Cell(NamedTuple):
    """What an output is counted by: its stream, hour and stratum, and what an estimate can be broken down by.

    `hour` is in hours since 1970; a text is empty where it is not known.
    """

    stream: str
    hour: int
    stratum: str
    model: str
    prompt: str
    segment: str
    language: str
    length: str
    noise: str
    mixed: str

    @property
    def key(self) -> str:
        """The name of the cell in the tables: a hash of all of it."""
        return _digest(*map(str, self))


class CountedOutput(NamedTuple):
    """An output to be counted, once.

    Attributes
    ----------
    topic, partition, position
        Where its message stands in the log of outputs. Rows of one stream and partition come in this order; one at or
        below the position that is counted already is a repetition.
    cell
        What it is counted by.
    checks
        Of each criterion that was checked on it, the name and whether the output violates it.
    lock
        What two workers that count the same output at the same time have in common: the place of its feature row.
    """

    topic: str
    partition: int
    position: int
    cell: Cell
    checks: tuple[tuple[str, bool], ...]
    lock: tuple[str, int]


def cell_columns(
    segments: Mapping[str, str], slices: Mapping[str, str], attribute: str | None, keep: Keep, key: bytes
) -> dict[str, str]:
    """The columns by which an estimate can be broken down.

    `attribute` is the segment that the settings chose (`attributes.tenant`), None for none; its values are kept in the
    form `keep`, a hash made with `key`.
    """
    return {
        "model": _named(segments, "model"),
        "prompt": _named(segments, "prompt"),
        "segment": _kept_segment(attribute, segments.get(attribute, ""), keep, key) if attribute else "",
        **{each.value: slices.get(each.value, "")[:16] for each in Slice},
    }


@lru_cache(maxsize=10_000)
def _kept_segment(name: str, value: str, keep: Keep, key: bytes) -> str:
    """A segment's value in the form in which it may be kept: what people may have written is in attributes alone."""
    allowed = kept(value, keep, key) if value and name.startswith(ATTRIBUTES) else value
    return storable(allowed) or ""


def _named(segments: Mapping[str, str], part: str) -> str:
    name, version = segments.get(f"{part}.name", ""), segments.get(f"{part}.version", "")
    return storable(" ".join(filter(None, (name, version)))) or ""


def judgment_row(
    judgment: Judgment, message_time: float, policy: FieldPolicy, key: bytes, attribute: str | None
) -> dict[str, Any]:
    """The row of a judgment.

    The evaluator's reason may quote the output and the input, so it is kept in the stricter of the forms in which
    `policy` lets them be kept. `message_time` is Kafka's, in seconds since 1970; `key` is that of the hashes.
    """
    segments = {
        storable(name) or "": value
        for name, text in judgment.segments.items()
        if (value := _kept_segment(name, text, policy.attributes, key))
    }
    form = max(policy.output, policy.input, key=_STRICTNESS.index)
    place = judgment.place
    of_output = (place.topic, str(place.partition), str(place.position)) if place else (judgment.stream, judgment.event)
    return {
        "day": _day(judgment.time, message_time),
        "key": _digest(*of_output, judgment.criterion, judgment.purpose, judgment.finding or "", judgment.anchor or ""),
        "stream": storable(judgment.stream) or "",
        "event": storable(judgment.event) or "",
        "topic": place.topic if place else None,
        "partition": place.partition if place else None,
        "position": place.position if place else None,
        "time": judgment.time,
        "criterion": judgment.criterion[:64],
        "purpose": judgment.purpose.value,
        "finding": storable(judgment.finding),
        "side": judgment.side.value if judgment.side else None,
        "anchor": storable(judgment.anchor),
        "probability": min(1.0, max(judgment.probability, LEAST_PROBABILITY)),
        "stratum": judgment.stratum,
        "by_uniform": int(judgment.by_uniform),
        **cell_columns(judgment.segments, judgment.slices, attribute, policy.attributes, key),
        "segments": msgspec.json.encode(segments).decode().replace("\\u0000", "\\ufffd"),
        "passed": None if judgment.passed is None else int(judgment.passed),
        "missing": None if judgment.passed is not None else storable(judgment.missing) or "unknown",
        "score": judgment.score,
        "rationale": storable(kept(judgment.rationale or None, form, key)),
        "evaluator": storable(judgment.evaluator) or "",
        "identity": judgment.identity[:64],
        "answered_by": storable(judgment.model) or "",
        "tokens": min(judgment.tokens, MOST_TOKENS),
        "cost_usd": judgment.cost_usd,
        "latency_s": judgment.latency_s,
        "cached": int(judgment.cached),
        "judged_at": judgment.judged_at or message_time,
    }


def _day(time: float, message_time: float) -> int:
    """Days since 1970 of the output: the same when its judgment comes a second time, after midnight."""
    possible = message_time - LONGEST_EARLIER_S <= time <= message_time + HOUR_S
    return int((time if possible else message_time) // DAY_S)


def _digest(*parts: str) -> str:
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).hexdigest()
