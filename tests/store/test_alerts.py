"""Alerts from the log into both stores: as they are really encoded, and read by the stream that they are about."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from monitor.alerting import alert as alerts
from monitor.alerting.alert import Alert
from monitor.alerting.lifecycle import annotation
from monitor.alerting.lifecycle.annotation import Annotation, AnnotationAction
from monitor.alerting.rendering.samples import sample_alert
from monitor.detection.records.finding import State
from monitor.store import alerts as stored_alerts
from monitor.store.base import TraceStore
from monitor.store.open import open_store
from monitor.store.privacy import FieldPolicy, Keep, Privacy
from monitor.store.records import Incoming
from pipelines.store.rows import RowMaker
from tests.store.judged_stream import NOON, TOPICS, Message

DAY_S = 86_400.0


@pytest.fixture
def store(address: str) -> Iterator[TraceStore]:
    opened = open_store(address)
    yield opened
    opened.close()


def one(number: int, state: State = State.FIRING, stream: str = "support", **changes: object) -> Alert:
    alert = sample_alert(state, stream=stream, time=NOON)
    return msgspec.structs.replace(alert, fingerprint=f"{number:016x}", **changes)


def read(*records: tuple[Alert | Annotation | bytes | None, float], privacy: Privacy | None = None) -> Incoming:
    """What the writer makes of these records with their times, at the offsets 0, 1, ... of one partition."""
    maker = RowMaker(TOPICS, privacy or Privacy())
    messages = []
    for offset, (record, time) in enumerate(records):
        value = record
        if isinstance(record, Alert):
            value = alerts.encode(record)
        elif isinstance(record, Annotation):
            value = annotation.encode(record)
        messages.append((TOPICS.alerts.name, Message(1, offset, value, int(time * 1000))))  # type: ignore[arg-type]
    incoming = maker.rows(messages)
    assert maker.unreadable == sum(record == b"?" for record, _ in records)
    assert incoming.positions == {(TOPICS.alerts.id, 1): len(records)}
    return incoming


def test_of_each_alert_of_the_stream_the_newest_transition_is_read(store: TraceStore) -> None:
    done = Annotation(fingerprint=f"{1:016x}", action=AnnotationAction.ACK, time=NOON, by="ada")
    incoming = read(
        (one(1), NOON),
        (one(2, stream="support/other"), NOON),
        (done, NOON),
        (b"?", NOON),
        (None, NOON),
        (one(3, stream="~judged/support/helpful"), NOON),
        (one(4, stream="~judged/support/other/helpful"), NOON),
        (one(5, stream="~feedback/support/thumb"), NOON),
        (one(1, State.RESOLVED), NOON + DAY_S),
        (one(6, stream="s_pport"), NOON),
        (one(7, stream="~judged/SUPPORT/helpful"), NOON),
    )
    store.write(incoming)
    store.write(incoming)  # messages come twice
    found = store.alerts("support")
    assert [alert.id for alert in found] == [f"{number:016x}" for number in (1, 5, 3)]
    decoded = alerts.decode(found[0].body.encode())
    assert decoded == one(1, State.RESOLVED)
    assert [alert.stream for alert in store.alerts("s_pport")] == ["s_pport"]
    assert store.alerts("sup*") == []


def test_alerts_are_read_up_to_a_bound(store: TraceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_alerts, "MAX_ALERTS", 3)
    monkeypatch.setattr("monitor.store.sqlite.MAX_ALERTS", 3)
    store.write(read(*((one(number), NOON + number * DAY_S / 2) for number in range(8))))
    assert [int(alert.id, 16) for alert in store.alerts("support")] == [7, 6, 5, 4]


def test_a_store_says_for_which_time_it_knows_alerts(store: TraceStore) -> None:
    assert (store.alerts_known().since, store.alerts_known().until) == (None, None)
    incoming = read((one(1), NOON))
    incoming.alerts_read = {("t", 0): NOON + 5, ("t", 1): 0.0}
    store.write(incoming)
    known = store.alerts_known()
    assert (known.since, known.until) == (NOON - DAY_S / 2, None), "one partition is not read to its end"
    store.write(Incoming(alerts_read={("t", 0): NOON, ("t", 1): NOON + 9}))
    assert store.alerts_known().read_until == {0: NOON + 5, 1: NOON + 9}
    store.write(Incoming(alerts_read={("made again", 0): NOON + 20}))
    assert store.alerts_known().until == NOON + 20


def test_excerpts_in_alerts_are_kept_as_the_texts_that_they_are_from() -> None:
    privacy = Privacy(fields=(FieldPolicy(match="support", input=Keep.NONE), FieldPolicy(match="hr", output=Keep.NONE)))
    made = read((one(1), NOON), (one(2, stream="~judged/hr/polite"), NOON), privacy=privacy)
    asked, judged = (alerts.decode(row["body"].encode()) for row in made.alerts)
    assert one(1).excerpts_after
    assert {excerpt.input for excerpt in asked.excerpts_before + asked.excerpts_after} == {""}
    assert [excerpt.output for excerpt in asked.excerpts_after] == [e.output for e in one(1).excerpts_after]
    assert {excerpt.output for excerpt in judged.excerpts_before + judged.excerpts_after} == {""}
