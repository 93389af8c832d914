"""Which alerts the role judge takes up, and what it does with those that it does not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from kafka import TopicPartition

from monitor.alerting import alert as alerts
from monitor.alerting.alert import Alert
from monitor.detection.records.control import Control, ControlAction
from monitor.detection.records.finding import State
from monitor.detection.records.judged import FINDING, Harm, Judged, from_data
from monitor.detection.records.log_format import decode_message
from monitor.judgment.records import Judgment, Purpose, Side, decode_sampled, encode_record
from monitor.settings import Settings
from pipelines.matters import harm_judge
from pipelines.matters.case import SECOND_LOOK_WITHIN_S
from pipelines.matters.harm_judge import MOST_AN_HOUR, MOST_CASES, OLDEST_ALERT_S, HarmJudge
from pipelines.matters.second_looks import waiting
from tests.pipelines.matters.test_case import questions
from tests.pipelines.matters.test_rows_around import STREAM, TOPICS, LogConsumer, firing, mixed

NOW = 1_000_000.0
SETTINGS = Settings.model_validate(
    {
        "streams": [
            {
                "match": STREAM,
                "criteria": [{"name": f"c{k}", "pass": "is good", "evaluator": "main"} for k in range(5)],
            }
        ],
        "evaluators": [{"name": "main", "kind": "classifier"}],
    }
)
ALERTS = TopicPartition("alerts", 0)


class Confirmed:
    def get(self, timeout: float) -> None:
        pass


class Producer:
    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    def send(self, topic: str, value: bytes, key: bytes | None, partition: int | None) -> Confirmed:
        self.sent.append((topic, value))
        return Confirmed()


class Desk:
    """The judge of alerts with a clock of the test's, a log of feature rows, and questions without Kafka."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOW
        self.judge = HarmJudge(lambda: SETTINGS, TOPICS, self._failed, lambda: self.now)
        self.producer = self.judge._producer = Producer()
        self.log = LogConsumer(mixed(300))
        self.offset = 0
        monkeypatch.setattr(harm_judge, "questions", lambda *_: questions())

    def _failed(self, error: BaseException) -> None:
        raise error

    def alert(self, alert: Alert | bytes, since: float = NOW) -> None:
        value = alert if isinstance(alert, bytes) else alerts.encode(alert)
        self.judge._alert((ALERTS, self.offset), value, since, self.log)
        self.offset += 1

    @property
    def taken(self) -> list[str]:
        return [case.alert.id for case in self.judge._cases.values()]

    def controls(self) -> list[Control]:
        contents = [decode_message(value) for topic, value in self.producer.sent if topic == "features"]
        return [content for content in contents if isinstance(content, Control)]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def numbered(k: int, **changes: Any) -> Alert:
    return msgspec.structs.replace(firing(), fingerprint=f"{k:016x}", **changes)


def test_an_alert_is_asked_about_and_concluded_as_a_control_row(desk: Desk) -> None:
    desk.alert(numbered(1))
    desk.judge._go_on()
    asked = [decode_sampled(value) for topic, value in desk.producer.sent if topic == "sampled"]
    assert len(asked) == 40
    for question in asked:
        for criterion in ("c0", "c1", "c2"):  # the first three
            judgment = Judgment(
                stream=STREAM,
                event=question.event,
                time=0.0,
                criterion=criterion,
                purpose=Purpose.DIAGNOSTIC,
                finding=f"{1:016x}",
                side=question.side,
                passed=question.side is Side.BEFORE,
            )
            desk.judge._verdict(encode_record(judgment))
            # Neither the sample's verdicts nor those for another alert are its own.
            desk.judge._verdict(encode_record(msgspec.structs.replace(judgment, finding="other", passed=True)))
    desk.judge._go_on()
    (control,) = desk.controls()
    assert (control.action, control.stream, control.data[FINDING]) == (ControlAction.JUDGED, STREAM, f"{1:016x}")
    assert from_data(control.data)[1].harm is Harm.HARMFUL
    assert desk.taken == []


def test_verdicts_that_do_not_come_are_not_waited_for(desk: Desk) -> None:
    desk.alert(numbered(1))
    desk.judge._go_on()
    desk.now += 61
    desk.judge._go_on()
    (control,) = desk.controls()
    assert "not answered in time" in from_data(control.data)[1].text
    assert len(desk.taken) == 1, "a second look waits for more outputs"


@pytest.mark.parametrize(
    "alert",
    [
        numbered(1, stream="other"),  # has no criteria
        numbered(1, stream=f"~judged/{STREAM}/c0"),
        numbered(1, state=State.INFO),
        numbered(1, revision=2),
        b'{"fingerprint": "x", "action": "ack"}',
        b"",
        b"\xff",
    ],
)
def test_others_are_left_alone(desk: Desk, alert: Alert | bytes) -> None:
    desk.alert(alert)
    desk.judge._go_on()
    assert (desk.taken, desk.producer.sent) == ([], [])


def test_old_alerts_are_left_alone(desk: Desk) -> None:
    desk.alert(numbered(1), since=NOW - OLDEST_ALERT_S - 1)
    assert desk.taken == []


def test_a_fault_in_hundreds_of_streams_costs_no_more_than_the_limit(desk: Desk) -> None:
    for k in range(MOST_AN_HOUR + 10):
        desk.alert(numbered(k))
    assert len(desk.taken) == MOST_AN_HOUR
    desk.now += 3_601
    desk.alert(numbered(99), since=desk.now)
    assert len(desk.taken) == MOST_AN_HOUR + 1


def test_what_is_over_is_forgotten_and_so_are_the_oldest_of_too_many(desk: Desk) -> None:
    desk.alert(numbered(1))
    desk.alert(numbered(2))
    desk.alert(numbered(1, state=State.RESOLVED))
    assert desk.taken == [f"{2:016x}"]
    for k in range(3, MOST_CASES + 5):
        desk.now += 200
        desk.alert(numbered(k), since=desk.now)
    assert len(desk.taken) == MOST_CASES
    assert f"{2:016x}" not in desk.taken


def could_not_tell(look: int = 1, harm: Harm = Harm.CANNOT_TELL) -> Judged:
    return Judged(harm=harm, confidence=0.95, margin=0.15, criteria=[], text="cannot tell", look=look)


def test_a_second_look_goes_on_where_another_worker_made_the_first(desk: Desk) -> None:
    desk.alert(numbered(1, revision=1, judged=could_not_tell()), since=NOW - OLDEST_ALERT_S - 1)
    assert desk.taken == [f"{1:016x}"]
    (case,) = desk.judge._cases.values()
    assert case.look == 2
    desk.alert(numbered(1, revision=2, judged=could_not_tell()))  # its figures, meanwhile
    desk.alert(numbered(1))  # its begin, read again
    assert len(desk.taken) == 1
    desk.judge._go_on()
    assert len([topic for topic, _ in desk.producer.sent if topic == "sampled"]) == 40, "those that the test asks"
    desk.now += 61
    desk.judge._go_on()
    (control,) = desk.controls()
    assert from_data(control.data)[1].look == 2
    desk.alert(numbered(1, revision=3, judged=could_not_tell()))  # before the revision with the conclusion
    assert desk.taken == []


@pytest.mark.parametrize(
    "alert",
    [
        numbered(1, revision=1, judged=could_not_tell(look=2)),
        numbered(1, revision=1, judged=could_not_tell(harm=Harm.HARMLESS)),
        numbered(1, state=State.RESOLVED, judged=could_not_tell()),
    ],
)
def test_what_is_concluded_gets_no_second_look(desk: Desk, alert: Alert) -> None:
    desk.alert(alert)
    assert desk.taken == []


class AlertLog(LogConsumer):
    """The messages of a partition of alerts, one each minute before `NOW`."""

    def offsets_for_times(self, asked: dict[TopicPartition, int]) -> dict[TopicPartition, Any]:
        (at,) = asked.values()
        offset = next((k for k in range(len(self.messages)) if self.time(k) * 1000 >= at), None)
        return {ALERTS: None if offset is None else SimpleNamespace(offset=offset)}

    def time(self, offset: int) -> float:
        return NOW - 60.0 * (len(self.messages) - offset)

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        (records,) = super().poll(timeout_ms).values()
        for record in records:
            record.timestamp = self.time(record.offset) * 1000
        return {ALERTS: records}


def test_alerts_that_wait_for_a_second_look_are_found_in_the_log() -> None:
    judged = could_not_tell()
    records: list[Alert | bytes] = [
        numbered(1),
        numbered(1, revision=1, judged=judged),
        b'{"record": "annotation"}',
        numbered(2, revision=1, judged=judged),
        numbered(3, revision=1, judged=judged),
        numbered(2, state=State.RESOLVED, judged=judged),
        numbered(3, revision=2, judged=could_not_tell(look=2)),
        numbered(4),
        numbered(1, revision=2, judged=judged),
        numbered(5, revision=1, judged=judged),  # not before the position of the group: it comes by itself
    ]
    log = AlertLog([one if isinstance(one, bytes) else alerts.encode(one) for one in records])
    (found,) = waiting(log, ALERTS, len(records) - 1, NOW)
    assert (found.alert.id, found.alert.revision, found.offset) == (f"{1:016x}", 2, 8)
    assert found.since == log.time(1), "since when the first look could not tell"
    assert waiting(log, ALERTS, len(records), NOW + 2 * SECOND_LOOK_WITHIN_S) == []
