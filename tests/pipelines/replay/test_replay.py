from __future__ import annotations

import json

from monitor.detection.records.log_format import encode, encode_tick
from monitor.events import decode_event
from monitor.events.schema import OutputEvent
from monitor.settings import Settings
from pipelines.build import featurizer_for, partition_monitor
from pipelines.replay.replay import pass_over, replay
from tests.kafka.installation import made_event
from tests.pipelines.records import Record
from tests.pipelines.rows import rows_at


def events(long_from: int, count: int = 600) -> list[OutputEvent]:
    made = [made_event("bot/answer", i, long=i >= long_from) for i in range(count)]
    read = [decode_event(json.dumps(event).encode(), default_id="", timestamp=None).event for event in made]
    for number, event in enumerate(read):
        event.time = 1_700_000_000.0 + number
    return read


def settings(batch: int = 1024) -> Settings:
    return Settings.model_validate({"detection": {"warmup": 200}, "worker": {"featurize_batch": batch}})


def test_a_change_is_found_and_none_where_there_is_none() -> None:
    found = list(replay(events(400), settings()))
    assert [finding.state.value for finding in found][:1] == ["firing"]
    assert abs(found[0].began_at.index - 400) <= 5
    assert list(replay(events(10_000), settings())) == []


def test_a_long_pause_in_a_file_is_no_reason_to_forget_the_stream() -> None:
    paused = events(400)
    for number, event in enumerate(paused):
        event.time = (event.time or 0.0) + 300 * 86_400.0 * (number // 100)  # forget_after is 90 days
    ours = settings()
    featurizer = featurizer_for(ours)
    monitor = partition_monitor(ours, featurizer.specs)
    found = list(replay(paused, ours, featurizer=featurizer, monitor=monitor))
    assert monitor.stream("bot/answer").events == 600
    assert any(finding.state == "firing" and abs(finding.began_at.index - 400) <= 5 for finding in found)


def test_findings_do_not_depend_on_the_micro_batch() -> None:
    whole = list(replay(events(400), settings(1024)))
    assert list(replay(events(400), settings(37))) == whole


def test_progress_is_reported_and_statuses_can_be_had_afterwards() -> None:
    ours, reported = settings(100), []
    featurizer = featurizer_for(ours)
    monitor = partition_monitor(ours, featurizer.specs)
    list(replay(events(10_000, 250), ours, featurizer=featurizer, monitor=monitor, progress=reported.append))
    assert reported == [100, 200, 250]
    assert monitor.streams["bot/answer"].status().events == 250


def test_a_pass_over_a_log_skips_strangers_and_what_comes_again() -> None:
    specs = featurizer_for(Settings()).specs[:1]
    (rows,) = encode(rows_at([1.0, 2.0, 3.0]))
    (more,) = encode(rows_at([4.0, 5.0], first=2))  # row 2 has come before
    log = [Record(0, i, value) for i, value in enumerate([rows, b"not ours", encode_tick(3.5), more, rows])]
    monitor = partition_monitor(Settings(), specs)
    list(pass_over(log, monitor))
    list(pass_over(log, monitor))  # a redelivery of the whole log changes nothing
    assert monitor.streams["s"].status().events == 4
