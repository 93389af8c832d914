"""The draw: which outputs go to an evaluation model, with which probability, and by which rules.

Runs in featurize, in its worker thread, as there the texts and their features are at hand. An output is drawn by a
keyed hash of its id (`monitor.judgment.draw`), so a batch that is read again after a crash draws the same ones:
consumers of `oqm.sampled` take a repeated event and criterion once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from monitor.criteria.criterion import Criterion
from monitor.events.schema import OutputEvent
from monitor.features.base import FeatureSpec, Kind, Role
from monitor.features.batch import FeatureBatch
from monitor.features.text.words import answer_of
from monitor.judgment.draw import UNIFORM, draw, stratum_of, uniform
from monitor.judgment.records import Asked, Sampled, SourcePlace, encode_record
from monitor.judgment.slices import slices_of
from monitor.settings import Settings
from pipelines.kafka.topics import TopicMap

RISKY = "risky"
"""Name of the rule that applies to outputs for which a failure flag is raised, or that refuse."""
LARGEST_MESSAGE_BYTES = 7 * 2**20
"""Below what the worker's producer sends at once, 8 MB with its own headers: a larger message would end the worker."""
MAX_STREAMS = 20_000
"""Streams whose criteria are remembered; beyond it they are looked up again, which takes some microseconds."""


@dataclass(frozen=True, slots=True)
class _Asks:
    """What is judged of one stream: its criteria, and whether any of them draws risky outputs more often."""

    criteria: tuple[Criterion, ...]
    risky: bool


def salt_of(settings: Settings, topics: TopicMap) -> bytes:
    """The key of the draw: of the settings, else the id that Kafka gave the outputs topic when it was made.

    That id is a random UUID: who publishes outputs does not know it, all workers have the same, and it stays until the
    topic is made again. Who may describe topics can read it, which a salt in the settings avoids.
    """
    given = settings.judging.salt
    text = given.get_secret_value() if given is not None else topics.outputs.id
    return hashlib.blake2b(text.encode(), digest_size=32, person=b"oqm-draw").digest()


def output_draw(settings: Settings, specs: Iterable[FeatureSpec], topics: TopicMap) -> OutputDraw | None:
    """The draw that the settings ask for; None where no criterion has an evaluator."""
    return OutputDraw(settings.criteria_of, specs, salt_of(settings, topics)) if settings.judged else None


class OutputDraw:
    """Draws from each batch that was measured.

    Parameters
    ----------
    criteria_of
        The criteria of a stream by name.
    specs
        The features; those of faults and refusals make an output risky.
    salt
        Key of the draw, 1 to 64 bytes.
    """

    def __init__(
        self, criteria_of: Callable[[str], Iterable[Criterion]], specs: Iterable[FeatureSpec], salt: bytes
    ) -> None:
        self._criteria_of = criteria_of
        self._risky_flags = {spec.name for spec in specs if _makes_risky(spec)}
        self._salt = salt
        self._of_stream: dict[str, _Asks | None] = {}

    def draw(self, batch: FeatureBatch, events: Sequence[OutputEvent]) -> list[tuple[bytes, bytes]]:
        """Fill `batch.strata`; keys and values of the messages for the outputs that were drawn.

        `events` are those of the batch's n rows, in order.
        """
        asks = {stream: self._asks(stream) for stream in dict.fromkeys(batch.streams)}
        if not any(asks.values()):
            return []
        risky = self._risky(batch)
        strata: list[str | None] = [None] * len(batch)
        messages = []
        for row, event in enumerate(events):
            asked = asks[batch.streams[row]]
            # What has no text, or a part of one, is no output to be judged: it is not in the population either.
            if asked is None or (answer := answer_of(event)) is None:
                continue
            rules = (RISKY, UNIFORM) if asked.risky and risky[row] else (UNIFORM,)
            strata[row] = stratum_of(rules)
            u = uniform(self._salt, batch.streams[row], batch.ids[row])
            drawn = tuple(found for one in asked.criteria if (found := _drawn(one, u, rules)) is not None)
            if drawn:
                messages.append(_message(batch, row, event, answer.answer, drawn))
        batch.strata = strata
        return messages

    def _asks(self, stream: str) -> _Asks | None:
        if stream not in self._of_stream:
            if len(self._of_stream) >= MAX_STREAMS:
                self._of_stream.clear()
            judged = tuple(criterion for criterion in self._criteria_of(stream) if criterion.judged)
            risky = any(criterion.sample.risky is not None for criterion in judged)
            self._of_stream[stream] = _Asks(judged, risky) if judged else None
        return self._of_stream[stream]

    def _risky(self, batch: FeatureBatch) -> list[bool]:
        """Of each row whether a flag is raised that makes it risky; a missing one is not raised."""
        columns = [k for k, name in enumerate(batch.names) if name in self._risky_flags]
        raised: list[bool] = np.any(batch.values[:, columns] > 0.5, axis=1).tolist()
        return raised


def _makes_risky(spec: FeatureSpec) -> bool:
    """Faults, failed checks among them, and refusals; not what only reads worse, which may be most of the outputs."""
    return spec.kind is Kind.FLAG and (spec.failure or spec.role is Role.REFUSAL)


def _drawn(criterion: Criterion, u: float, rules: tuple[str, ...]) -> Asked | None:
    """How a criterion draws an output; its rules are those of the stratum, whichever of them draw for this criterion.

    So every verdict belongs to the stratum in which the output is counted.
    """
    sample = criterion.sample
    probabilities = {UNIFORM: sample.uniform}
    if RISKY in rules and sample.risky is not None:
        probabilities[RISKY] = sample.risky
    drawn = draw(u, probabilities)
    if drawn is None:
        return None
    return Asked(
        criterion=criterion.name,
        probability=drawn.probability,
        rules=tuple(sorted(rules)),
        by_uniform=drawn.by_uniform,
    )


def _message(
    batch: FeatureBatch, row: int, event: OutputEvent, answer: str, asked: tuple[Asked, ...]
) -> tuple[bytes, bytes]:
    place = SourcePlace(batch.source, int(batch.source_partitions[row]), int(batch.source_offsets[row]))
    time = float(batch.times[row])
    sampled = Sampled(
        stream=batch.streams[row],
        event=batch.ids[row],
        time=time if time == time else 0.0,
        asked=asked,
        output=sendable(answer),
        input=sendable(event.input),
        prompt=sendable(event.prompt.text),
        place=place,
        segments=batch.segments[row],
        slices=slices_of(batch.rows(row, row + 1))[0],
    )
    return batch.ids[row].encode("utf-8", "replace"), fitting(sampled)


def fitting(sampled: Sampled) -> bytes:
    """The message; texts that are too large for the topic are left out, the output last: then no verdict is possible,
    and the judgment is missing."""
    for without in ({}, {"prompt": None}, {"prompt": None, "input": None}):
        message = encode_record(msgspec.structs.replace(sampled, **without))
        if len(message) <= LARGEST_MESSAGE_BYTES:
            return message
    return encode_record(msgspec.structs.replace(sampled, prompt=None, input=None, output=None))


def sendable(text: str | None) -> str | None:
    """The text, half surrogate pairs replaced: they cannot be encoded."""
    return None if text is None else text.encode("utf-8", "replace").decode("utf-8")
