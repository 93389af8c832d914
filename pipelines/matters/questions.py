"""Messages of `oqm.sampled` that ask for verdicts on outputs around a change: diagnostic, so they enter no estimate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from monitor.errors import InvalidEvent
from monitor.events.decode import decode_event
from monitor.events.schema import OutputEvent
from monitor.features.text.words import answer_of
from monitor.judgment.records import Asked, Purpose, Sampled, Side, SourcePlace
from monitor.settings import Settings
from pipelines.kafka.topic_window import topic_window
from pipelines.kafka.topics import TopicMap
from pipelines.matters.rows_around import Row
from pipelines.stages.draw import sendable


def questions(
    settings: Settings,
    topics: TopicMap,
    finding: str,
    stream: str,
    criteria: Sequence[str],
    rows: Mapping[Side, Sequence[Row]],
) -> list[Sampled]:
    """A question for each output that can be judged, the two sides in turn, so that a half answer is of both.

    Outputs that Kafka has no longer, and those without a text (errors, tool calls), are left out. `finding` is the id
    of the alert. Raises `BrokerError` where `oqm.outputs` cannot be read.
    """
    outputs = topics.outputs
    places = [(row.partition, row.offset) for side in rows.values() for row in side]
    with topic_window(settings.broker, outputs.name, outputs.partitions) as window:
        records = window.records_at(places)
    asked = tuple(Asked(criterion=name) for name in criteria)
    made: dict[Side, list[Sampled]] = {side: [] for side in Side}
    for side, several in rows.items():
        for row in several:
            record = records.get((row.partition, row.offset))
            if record is None:
                continue
            try:
                event = decode_event(
                    record.value,
                    record.headers or (),
                    default_id=f"{outputs.name}/{record.partition}/{record.offset}",
                    timestamp=record.timestamp / 1000.0,
                ).event
            except InvalidEvent:  # it has become a dead letter, and no row
                continue
            text = answer_of(event)
            if text is not None:
                place = SourcePlace(outputs.id, row.partition, row.offset)
                made[side].append(_sampled(event, text.answer, row, place, asked, finding, stream, side))
    return list(_in_turn(made[Side.BEFORE], made[Side.AFTER]))


def _sampled(
    event: OutputEvent,
    answer: str,
    row: Row,
    place: SourcePlace,
    asked: tuple[Asked, ...],
    finding: str,
    stream: str,
    side: Side,
) -> Sampled:
    return Sampled(
        stream=stream,
        event=row.event,
        time=row.time if row.time == row.time else 0.0,
        asked=asked,
        output=sendable(answer),
        input=sendable(event.input),
        prompt=sendable(event.prompt.text),
        place=place,
        purpose=Purpose.DIAGNOSTIC,
        segments=dict(row.segments),
        finding=finding,
        side=side,
    )


def _in_turn(first: Sequence[Sampled], second: Sequence[Sampled]) -> Iterable[Sampled]:
    for k in range(max(len(first), len(second))):
        yield from first[k : k + 1]
        yield from second[k : k + 1]
