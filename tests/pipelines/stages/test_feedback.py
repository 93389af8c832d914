"""Feedback of users as rows of its own streams, and what detection makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from monitor.alerting.from_finding import from_finding
from monitor.criteria.derived import FEEDBACK, feedback_of, feedback_stream
from monitor.detection import Finding, PartitionMonitor, StreamMonitor
from monitor.detection.records.finding import FindingKind
from monitor.detection.records.log_format import decode_message
from monitor.features.batch import FeatureBatch
from monitor.judgment.records import Feedback, encode_record
from monitor.settings import Settings
from pipelines.build import partition_monitor
from pipelines.kafka.topics import TopicFacts
from pipelines.stages.feedback import FeedbackReader
from tests.pipelines.records import Record

TOPIC = TopicFacts("oqm.feedback", "feedback-id", 4)
STREAM = feedback_stream("shop/answers", "thumb")
SETTINGS = Settings.model_validate({"streams": [{"match": "shop/*", "owner": "ada", "route": "shop"}]})


def thumb(number: int, up: bool = True, **fields: Any) -> Feedback:
    known: dict[str, Any] = {
        "event": f"e{number}",
        "stream": "shop/answers",
        "value": up,
        "time": 1.79e9 + 60.0 * number,
    }
    return Feedback(**{**known, **fields})


def record(offset: int, one: Feedback, partition: int = 0) -> Record:
    return Record(partition, offset, encode_record(one), topic=TOPIC.name)


def rows(records: list[Record]) -> list[FeatureBatch]:
    found = []
    for parts in FeedbackReader(TOPIC, 1).read(records).messages.values():
        for part in parts:
            batch = decode_message(part)
            assert isinstance(batch, FeatureBatch)
            found.append(batch)
    return found


def applied(watch: PartitionMonitor, said: list[Feedback], first: int = 0, offset: int = 0) -> list[Finding]:
    batches = rows([record(first + at, one) for at, one in enumerate(said)])
    return [finding for batch in batches for finding in watch.apply(batch, offset)]


def test_a_thumb_is_a_row_with_its_place_and_its_comment() -> None:
    [batch] = rows([record(7, thumb(1, False, text="wrong, ask ada@example.com"), partition=2)])
    assert (batch.names, batch.values.tolist()) == ((FEEDBACK.name,), [[1.0]])
    assert (list(batch.streams), list(batch.ids)) == (["~feedback/shop/answers/thumb"], ["e1"])
    assert (batch.source, batch.source_partitions.tolist(), batch.source_offsets.tolist()) == ("feedback-id", [2], [7])
    assert batch.output_excerpts[0].startswith("down: wrong, ask ")
    assert "ada@example.com" not in batch.output_excerpts[0]


def test_ratings_and_other_questions_have_their_own_streams() -> None:
    batches = rows(
        [
            record(0, thumb(1, kind="rating", value=2.0, scale=(1.0, 5.0))),
            record(1, thumb(1, kind="rating", value=5.0, scale=(1.0, 5.0))),
            record(2, thumb(1, kind="helpful")),
        ]
    )
    assert {batch.streams[0]: batch.values.ravel().tolist() for batch in batches} == {
        "~feedback/shop/answers/rating": [1.0, 0.0],
        "~feedback/shop/answers/helpful": [0.0],
    }
    assert feedback_of(batches[0].streams[0]) == ("shop/answers", "rating")


@pytest.mark.parametrize(
    "fields",
    [
        {"stream": None},
        {"kind": "correction", "value": None, "text": "so"},
        {"kind": "rating", "value": 3.0, "scale": (1.0, 5.0)},  # the middle says neither
    ],
)
def test_what_says_nothing_of_content_makes_no_row(fields: dict[str, Any]) -> None:
    result = FeedbackReader(TOPIC, 1).read([record(0, thumb(1, **fields))])
    assert (result.messages, result.letters) == ({}, [])


def test_what_cannot_be_used_is_a_dead_letter_with_the_reason_and_the_others_go_on() -> None:
    result = FeedbackReader(TOPIC, 1).read(
        [Record(0, 0, b"{"), record(1, thumb(1)), Record(0, 2, None), Record(0, 3, b'{"event": "e", "value": 4}')]
    )
    assert [(letter.message.offset, letter.reason) for letter in result.letters] == [
        (0, "unreadable"),
        (2, "unreadable"),
        (3, "wrong_value"),
    ]
    assert "scale" in result.letters[2].detail or "thumb" in result.letters[2].detail
    assert list(result.messages) == [STREAM]


def test_the_same_vote_counts_once_and_another_one_counts_too() -> None:
    watch = partition_monitor(SETTINGS, ())
    applied(watch, [thumb(number) for number in range(150)])
    applied(watch, [thumb(number) for number in range(100, 150)], first=100, offset=1)  # sent again after a crash
    applied(watch, [thumb(149)], first=150, offset=2)  # a second click
    applied(watch, [thumb(149, False)], first=151, offset=3)  # another opinion
    held = watch.stream(STREAM)
    assert isinstance(held, StreamMonitor)
    assert held.events == 151


def test_users_who_become_less_content_are_found_and_said_so() -> None:
    rng = np.random.default_rng(3)
    watch = partition_monitor(SETTINGS, ())
    assert applied(watch, [thumb(number, bool(rng.random() < 0.9)) for number in range(1_200)]) == []
    found = applied(watch, [thumb(1_200 + n, bool(rng.random() < 0.6)) for n in range(192)], first=1_200, offset=1)
    finding = next(finding for finding in found if finding.opens)
    assert (finding.stream, finding.kind) == (STREAM, FindingKind.FEEDBACK)
    alert = from_finding(finding, specs={FEEDBACK.name: FEEDBACK})
    assert "not content" in alert.title
    assert alert.links.runbook.endswith("feedback.md")


def test_settings_of_a_stream_of_feedback_follow_its_parents() -> None:
    own = SETTINGS.for_stream(STREAM)
    assert (own.owner, own.route) == ("ada", "shop")
    assert (own.detection.features, own.detection.watch_volume) == (("output.feedback.*",), False)
    assert SETTINGS.for_stream("~judged/shop/answers/polite").detection.features == ("output.judged.*",)


def test_other_streams_have_no_column_of_it() -> None:
    watch = partition_monitor(SETTINGS, ())
    applied(watch, [thumb(number) for number in range(3)])
    assert watch._specs_for("shop/answers") == ()
