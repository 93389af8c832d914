from __future__ import annotations

import pytest

from monitor.settings import DeadLetters, Settings
from monitor.telemetry.worker_stats import WorkerStats
from pipelines.kafka.dead_letters import PROCESSING_FAILED, DeadLetter, DeadLetterWriter, TooManyDeadLetters, headers_of
from tests.pipelines.records import Record


def box(max_share: float = 0.5) -> DeadLetterWriter:
    limit = DeadLetters(max_share=max_share, window=100)
    return DeadLetterWriter(Settings().broker, "oqm.deadletter", limit, WorkerStats())


def letters(reason: str, count: int) -> list[DeadLetter]:
    return [DeadLetter(Record(0, offset), reason, "why") for offset in range(count)]


def test_headers_keep_the_originals_and_say_why_and_where_from() -> None:
    record = Record(3, 14, headers=[("traceparent", b"00-abc"), ("oqm-reason", b"of an earlier life")])
    headers = headers_of(DeadLetter(record, "not_json", "cut off \ud800 here"), "oqm.outputs")
    assert headers == [
        ("traceparent", b"00-abc"),
        ("oqm-reason", b"not_json"),
        ("oqm-detail", b"cut off ? here"),
        ("oqm-topic", b"oqm.outputs"),
        ("oqm-partition", b"3"),
        ("oqm-offset", b"14"),
    ]


def test_our_own_failures_on_most_messages_stop_the_worker() -> None:
    ours = box()
    ours.check_share(60, letters(PROCESSING_FAILED, 60))  # too few messages yet to judge by
    with pytest.raises(TooManyDeadLetters, match=r"60 of the last 110"):
        ours.check_share(50, [])


def test_malformed_messages_stop_nothing() -> None:
    ours = box()
    for _ in range(100):
        ours.check_share(50, letters("not_json", 50))


def test_only_the_latest_messages_count() -> None:
    ours = box()
    ours.check_share(60, letters(PROCESSING_FAILED, 49))
    for _ in range(10):
        ours.check_share(60, [])
    ours.check_share(60, letters(PROCESSING_FAILED, 49))


def test_a_share_of_1_never_stops() -> None:
    ours = box(max_share=1.0)
    for _ in range(10):
        ours.check_share(50, letters(PROCESSING_FAILED, 50))
