"""What notify makes of what people say, of windows, and of a restart in between; receivers and log in memory."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from monitor.alerting.alert import Alert
from monitor.alerting.lifecycle.annotation import Annotation, AnnotationAction, encode
from monitor.alerting.lifecycle.maintenance import MaintenanceWindow
from monitor.alerting.rendering.samples import sample_alert
from monitor.detection.records.finding import State
from pipelines.kafka.producer import Outgoing
from tests.pipelines.stages.notify.test_stage import Bench, Receiver

FIRING, RESOLVED = sample_alert(), sample_alert(State.RESOLVED)
START = 1_700_000_000.0  # the records' timestamps, and the clock


class Pager(Receiver):
    """A receiver that calls people until somebody takes the alert."""

    async def acknowledge(self, alert: Alert, key: str) -> None:
        self.got.append(key)


async def idle(bench: Bench) -> None:
    """The worker's timer, and time for the couriers."""
    await bench.notify.idle()
    for _ in range(50):
        await asyncio.sleep(0)


async def say(bench: Bench, action: AnnotationAction, until: float | None = None) -> None:
    said = Annotation(fingerprint=FIRING.fingerprint, action=action, time=START, by="ada", until=until)
    await bench.log.send([Outgoing("alerts", encode(said), FIRING.fingerprint.encode())])


async def test_taking_it_is_reported_to_the_pager_alone_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Pager(name="pager"), Receiver(name="chat"))
    await bench.publish(FIRING)
    await say(bench, AnnotationAction.ACK)
    await say(bench, AnnotationAction.ACK)
    await bench.run()
    bench.restart()
    await bench.run()
    assert bench.receivers[0].got == [FIRING.transition, f"{FIRING.fingerprint}:acknowledged"]
    assert bench.receivers[1].got == [FIRING.transition]
    assert "dead" not in bench.log.topics


async def test_a_snoozed_alert_is_reported_again_at_its_end_even_by_another_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(monkeypatch, Receiver())
    await bench.publish(FIRING)
    await say(bench, AnnotationAction.SNOOZE, until=START + 3_600)
    await bench.run()
    await bench.notify.idle()
    assert bench.receivers[0].got == [FIRING.transition]
    bench.restart()
    bench.clock.now = START + 3_601
    await bench.run()
    await idle(bench)
    assert bench.receivers[0].got == [FIRING.transition, f"{FIRING.fingerprint}:firing:{int(START + 3_600)}"]
    bench.restart()
    await bench.run()
    await idle(bench)
    assert len(bench.receivers[0].got) == 2


async def test_what_a_window_holds_back_outlives_the_worker_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Receiver())
    start, end = (datetime.fromtimestamp(time, UTC) for time in (START - 60, START + 60))
    bench.windows.append(MaintenanceWindow(start=start, end=end))
    await bench.publish(FIRING)
    await bench.run()
    await bench.notify.idle()
    assert bench.receivers[0].got == []
    assert bench.stats.held_back == {"maintenance": 1, "snooze": 0, "flapping": 0}
    bench.restart()
    bench.clock.now = START + 61
    await bench.run()
    await idle(bench)
    assert bench.receivers[0].got == [FIRING.transition]
    assert bench.stats.held_back == {"maintenance": 0, "snooze": 0, "flapping": 0}


async def test_what_was_held_back_by_settings_that_are_gone_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Receiver())
    start, end = (datetime.fromtimestamp(time, UTC) for time in (START - 60, START + 9e6))
    bench.windows.append(MaintenanceWindow(start=start, end=end))
    await bench.publish(FIRING)
    await bench.run()
    bench.windows.clear()
    bench.restart()
    await bench.run()
    assert bench.receivers[0].got == [FIRING.transition]


async def test_a_false_alarm_is_over_and_spends_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Receiver())
    await bench.publish(FIRING)
    await say(bench, AnnotationAction.FALSE_ALARM)
    await bench.publish(RESOLVED)
    await bench.run()
    await bench.notify.idle()
    assert bench.receivers[0].got == [FIRING.transition, RESOLVED.transition]
    assert bench.stats.false_alarms == {"silent_update": 1}
    assert bench.stats.budget_spent == {FIRING.stream: 1.0}
    bench.clock.now = START + 31 * 86_400
    await bench.notify.idle()
    assert bench.stats.budget_spent == {FIRING.stream: 0.0}
    await bench.notify.settle()
    assert bench.stats.budget_spent == {}


async def test_what_nobody_can_read_is_a_dead_letter_and_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Receiver())
    written: list[str] = []

    async def write(letters: list[object], _: str) -> None:
        written.extend(letter.reason for letter in letters)  # type: ignore[attr-defined]

    monkeypatch.setattr(bench.notify._letters, "write", write)
    await bench.log.send([Outgoing("alerts", b'{"record": "annotation"}'), Outgoing("alerts", b"junk")])
    await bench.publish(FIRING)
    await bench.run()
    assert written == ["not_an_alert", "not_an_alert"]
    assert bench.receivers[0].got == [FIRING.transition]


class People(Receiver):
    """A receiver that wakes people: reported once an incident."""

    per = "incident"


async def test_two_hundred_streams_wake_people_twice_and_tell_machines_all(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, People(name="people"), Receiver(name="machine"))
    streams = [f"s{number:03}" for number in range(200)]
    firing = [sample_alert(stream=stream, time=START) for stream in streams]
    await bench.publish(*firing)
    await bench.run()
    bench.clock.now += 61
    await idle(bench)
    people, machine = (receiver.got for receiver in bench.receivers)
    lead = firing[0].fingerprint
    assert people == [f"{lead}:firing", f"{lead}:firing:200-streams"]
    assert sorted(machine) == sorted(alert.transition for alert in firing)

    bench.restart()  # another worker: nothing is reported twice
    await bench.publish(*(sample_alert(State.RESOLVED, stream=stream, time=START) for stream in streams))
    await bench.run()
    await idle(bench)
    assert people == [f"{lead}:firing", f"{lead}:firing:200-streams", f"{lead}:resolved"]
    assert len(machine) == len(set(machine)) == 400
