from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from monitor.detection.records.log_format import decode_message
from monitor.events.schema import OutputEvent
from monitor.features.batch import FeatureBatch
from monitor.features.featurizer import Featurizer
from monitor.judgment.records import Sampled, decode_sampled
from monitor.settings import Settings, StreamOverride, Topics
from pipelines.build import featurizer_for
from pipelines.kafka.producer import _LARGEST_REQUEST
from pipelines.kafka.topics import LARGEST_EVENT_BYTES, TopicFacts, TopicMap
from pipelines.stages.draw import LARGEST_MESSAGE_BYTES, OutputDraw, output_draw, salt_of
from pipelines.stages.featurize import EventReader, Featurized
from tests.pipelines.records import Record

OUTPUTS = TopicFacts("oqm.outputs", "topic-id", 4)
TOPICS = TopicMap(*(TopicFacts(name, f"id of {name}", 1) for name in Topics().parts))
REFUSAL = "I'm sorry, but I cannot help with that request."
ANSWER = "The shop opens at nine in the morning and closes at six."


def settings(**judging: Any) -> Settings:
    criteria = [
        {"name": "good", "pass": "answers", "evaluator": "main", "sample": {"uniform": 0.1, "risky": 0.5}},
        {"name": "kind", "pass": "is friendly", "evaluator": "main", "sample": {"uniform": 0.05}},
    ]
    return Settings.model_validate(
        {
            "streams": [{"match": "judged-*", "criteria": criteria}],
            "evaluators": [{"kind": "classifier", "name": "main"}],
            "judging": judging,
        }
    )


@pytest.fixture(scope="module")
def featurizer() -> Featurizer:
    return featurizer_for(Settings())


def made(featurizer: Featurizer, of: Settings) -> OutputDraw:
    draw = output_draw(of, featurizer.specs, TOPICS)
    assert draw is not None
    return draw


def message(offset: int, **fields: Any) -> Record:
    event = {"id": f"e{offset}", "stream": "judged-a", "output": ANSWER, "input": "When?", **fields}
    return Record(0, offset, json.dumps(event).encode())


def read(featurizer: Featurizer, of: Settings, messages: list[Record]) -> tuple[list[str | None], list[Sampled]]:
    """The strata of the rows, and what was drawn."""
    result: Featurized = EventReader(featurizer, OUTPUTS, 1, draw=made(featurizer, of)).read(messages)
    strata: list[str | None] = []
    for one in result.messages.get(0, []):
        batch = decode_message(one)
        assert isinstance(batch, FeatureBatch)
        strata += list(batch.strata or [None] * len(batch))
    return strata, [decode_sampled(value) for _, value in result.sampled]


def test_outputs_are_drawn_with_their_probability_and_their_stratum(featurizer: Featurizer) -> None:
    messages = [message(n, output=REFUSAL if n % 4 == 0 else ANSWER) for n in range(2_000)]
    strata, drawn = read(featurizer, settings(), messages)
    assert Counter(strata) == {"uniform": 1_500, "risky+uniform": 500}
    asked = [(one, criterion) for one in drawn for criterion in one.asked]
    assert all(set(criterion.rules) == set((strata[one.place.position] or "").split("+")) for one, criterion in asked)  # type: ignore[union-attr]
    good = Counter(
        (criterion.probability, criterion.by_uniform) for _, criterion in asked if criterion.criterion == "good"
    )
    kind = Counter(
        (criterion.probability, criterion.by_uniform) for _, criterion in asked if criterion.criterion == "kind"
    )
    # Four standard deviations of each share.
    assert abs(good[0.1, True] - 150) < 48
    assert abs(good[0.5, True] + good[0.5, False] - 250) < 46
    assert abs(good[0.5, True] - 50) < 27
    assert kind.keys() == {(0.05, True)}
    assert abs(kind[0.05, True] - 100) < 39


def test_a_batch_read_again_draws_the_same_outputs_and_a_higher_share_keeps_them(featurizer: Featurizer) -> None:
    messages = [message(n) for n in range(500)]
    _, first = read(featurizer, settings(), messages)
    _, again = read(featurizer, settings(), messages[100:] + messages[:100])
    assert {one.event for one in first} == {one.event for one in again}
    more = settings()
    criterion = more.streams[0].criteria[0]
    raised = criterion.model_copy(update={"sample": criterion.sample.model_copy(update={"uniform": 0.3})})
    more = more.model_copy(update={"streams": (more.streams[0].model_copy(update={"criteria": (raised,)}),)})
    _, many = read(featurizer, more, messages)
    assert {one.event for one in first} < {one.event for one in many}


def test_who_chooses_ids_cannot_foresee_the_draw_without_the_salt(featurizer: Featurizer) -> None:
    messages = [message(n) for n in range(500)]
    drawn = [
        frozenset(one.event for one in read(featurizer, of, messages)[1])
        for of in (settings(), settings(salt="one"), settings(salt="two"), settings(salt="two"))
    ]
    assert drawn[2] == drawn[3]
    assert len(set(drawn)) == 3


def test_the_salt_is_the_settings_or_the_topics_id() -> None:
    other = TopicMap(*(TopicFacts(name, f"another id of {name}", 1) for name in Topics().parts))
    assert salt_of(Settings(), TOPICS) == salt_of(Settings(), TOPICS) != salt_of(Settings(), other)
    assert salt_of(settings(salt="s"), TOPICS) == salt_of(settings(salt="s"), other)


@pytest.mark.parametrize(
    "fields",
    [
        {"stream": "other"},
        {"output": None, "error": "overloaded"},
        {"finish_reason": "abandoned"},
    ],
)
def test_what_is_not_judged_is_in_no_stratum(featurizer: Featurizer, fields: dict[str, Any]) -> None:
    strata, drawn = read(featurizer, settings(), [message(n, **fields) for n in range(200)])
    assert (set(strata), drawn) == ({None}, [])


def test_the_judge_gets_the_answer_without_the_reasoning_before_it(featurizer: Featurizer) -> None:
    messages = [
        message(n, output=f"<think>Is it nine?</think>{ANSWER}", prompt={"text": "Be brief."}) for n in range(99)
    ]
    _, drawn = read(featurizer, settings(), messages)
    assert {(one.output, one.input, one.prompt) for one in drawn} == {(ANSWER, "When?", "Be brief.")}


def test_half_surrogate_pairs_are_replaced(featurizer: Featurizer) -> None:
    half = [Record(0, n, (message(n).value or b"").replace(b"When?", b"\\ud800")) for n in range(200)]
    _, drawn = read(featurizer, settings(), half)
    assert {(one.input, one.output) for one in drawn} == {("\ufffd", ANSWER)}


@pytest.mark.parametrize(("letters", "has_output"), [(LARGEST_MESSAGE_BYTES, True), (2 * LARGEST_MESSAGE_BYTES, False)])
def test_what_is_too_large_for_the_topic_goes_without_its_texts(
    featurizer: Featurizer, letters: int, has_output: bool
) -> None:
    output = ANSWER if has_output else "x " * (letters // 2)
    event = OutputEvent(stream="judged-a", id="e", output=output, input="x" * letters)
    always = settings().model_copy(update={"streams": (every_output(),)})
    ((_, value),) = made(featurizer, always).draw(featurizer.featurize([event], source="s"), [event])
    assert len(value) <= LARGEST_MESSAGE_BYTES < min(_LARGEST_REQUEST, LARGEST_EVENT_BYTES)
    drawn = decode_sampled(value)
    assert (drawn.input, drawn.output) == (None, ANSWER if has_output else None)


def every_output() -> StreamOverride:
    sample = {"uniform": 1.0}
    criteria = [{"name": "good", "pass": "answers", "evaluator": "main", "sample": sample}]
    return StreamOverride.model_validate({"match": "*", "criteria": criteria})


def test_without_judged_criteria_there_is_no_draw(featurizer: Featurizer) -> None:
    assert output_draw(Settings(), featurizer.specs, TOPICS) is None
