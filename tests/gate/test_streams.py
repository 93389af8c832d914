"""The state of a stream as it is read from a real trace store: open alerts, evaluators that are down, how old it is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from monitor.actions.policy import OpenAlert, StreamState
from monitor.alerting import alert as alerts
from monitor.alerting.alert import Alert
from monitor.alerting.rendering.samples import sample_alert
from monitor.detection.records.finding import FindingKind, State
from monitor.ledger.open import open_ledger
from monitor.serve.context import Services
from monitor.serve.streams import StreamStates
from monitor.serve.traces import Traces
from monitor.settings import Settings
from monitor.settings.yaml_loader import parse
from monitor.store.base import TraceStore
from monitor.store.open import open_store
from monitor.store.privacy import Privacy
from monitor.store.records import Incoming
from pipelines.store.rows import RowMaker
from tests.store.judged_stream import NOON, TOPICS, Log, Message, judgment, output_rows

SETTINGS = """
streams:
  - {match: support, criteria: [{name: good, pass: answers, evaluator: main}]}
evaluators: [{kind: classifier, name: main}]
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    opened = open_store(str(tmp_path / "traces"))
    yield opened
    opened.close()


@pytest.fixture
def services(tmp_path: Path, store: TraceStore) -> Iterator[Services]:
    ledger = open_ledger(str(tmp_path / "ledger"))
    settings = parse(Settings, SETTINGS, name="test", environ={})
    made = Services(settings=settings, ledger=ledger, traces=Traces(str(tmp_path / "traces")), clock=lambda: NOON + 60)
    yield made
    made.close()


def one(number: int, kind: FindingKind = FindingKind.DRIFT, state: State = State.FIRING, **changes: object) -> Alert:
    alert = sample_alert(state, stream=str(changes.pop("stream", "support")), time=NOON)
    return msgspec.structs.replace(alert, fingerprint=f"{number:016x}", kind=kind, **{"segment": None, **changes})


def write_output(store: TraceStore, stream: str = "support") -> None:
    event = {"id": "e1", "stream": stream, "time": NOON, "output": "Hello"}
    message = Message(0, 0, json.dumps(event).encode(), int(NOON * 1000))
    store.write(RowMaker(TOPICS, Privacy()).rows([(TOPICS.outputs.name, message)]))  # type: ignore[list-item]


def write(store: TraceStore, *records: Alert, until: float = NOON + 58) -> None:
    maker = RowMaker(TOPICS, Privacy())
    messages = [
        (TOPICS.alerts.name, Message(1, offset, alerts.encode(record), int(NOON * 1000)))
        for offset, record in enumerate(records)
    ]
    incoming = maker.rows(messages) if messages else Incoming()  # type: ignore[arg-type]
    incoming.alerts_read[TOPICS.alerts.id, 1] = until
    store.write(incoming)


def test_open_alerts_about_outputs_are_the_state(services: Services, store: TraceStore) -> None:
    segment = {"tenant": "acme"}
    write_output(store)
    write(
        store,
        one(1, title="Apologies in 42 %"),
        one(2),
        one(3, FindingKind.LATENCY),
        one(4, FindingKind.REFUSAL, title="Refusals", segment=segment),
        one(5, stream="other"),
        one(6, FindingKind.QUALITY, stream="~judged/support/good", title="Fewer pass good"),
        one(7, FindingKind.EVALUATOR_DOWN, stream="~evaluator/main"),
        one(2, state=State.RESOLVED),
    )
    states = StreamStates(services)
    states._known["support"] = None  # as the first question about it does
    states.refresh()
    found = states.state("support")
    assert found.known_at == NOON + 58
    assert found.evaluator_down == ("main",)
    assert {(alert.title, alert.kind) for alert in found.alerts} == {
        ("Apologies in 42 %", "drift"),
        ("Refusals", "refusal"),
        ("Fewer pass good", "quality"),
    }
    assert next(alert.segment for alert in found.alerts if alert.kind == "refusal") == segment


def test_a_calm_stream_is_calm_and_a_store_that_was_not_read_to_its_end_is_not(
    services: Services, store: TraceStore
) -> None:
    states = StreamStates(services)
    write(store, until=0.0)
    states._known["support"] = None
    states.refresh()
    # A misspelt name has no alerts either.
    assert "no outputs of the stream support are stored" in states.state("support").why_unknown
    write_output(store)
    states.refresh()
    assert states.state("support") == StreamState(why_unknown="its alerts were not read to their end yet")
    write(store)
    states.refresh()
    assert states.state("support") == StreamState(known_at=NOON + 58)
    write(store, one(1, title="Later"))
    states.refresh()
    [alert] = states.state("support").alerts
    assert isinstance(alert, OpenAlert)
    assert alert.title == "Later"


def test_judged_quality_is_read_where_a_kind_asks_for_it(services: Services, store: TraceStore) -> None:
    log = Log()
    log.append(output_rows(range(100)))
    for number in range(50):
        log.append(judgment(number, passed=number % 10 != 0, criterion="good"))
    store.write(log.rows())
    write_output(store)
    write(store)
    text = SETTINGS + "gate: {kinds: {email: {decide: checked, least_quality: 0.9}}}\n"
    services.settings = parse(Settings, text, name="test", environ={})
    states = StreamStates(services)
    states._known["support"] = None
    states.refresh()
    [quality] = states.state("support").quality
    assert (quality.criterion, quality.judged) == ("good", 50)
    assert quality.low < 0.9 < quality.high
    states.refresh()  # within a minute it stays as it was read
    assert states.state("support").quality == (quality,)


def test_a_thread_reads_what_is_asked_for(services: Services, store: TraceStore) -> None:
    write_output(store)
    write(store)
    states = StreamStates(services)
    states.start()
    until = time.monotonic() + 60
    while states.state("support").known_at is None:  # a busy machine may take longer than the first question waits
        assert time.monotonic() < until
    states.close()


@pytest.mark.parametrize("kind", ["none", "away"])
def test_without_a_store_nothing_is_known(kind: str, services: Services, tmp_path: Path) -> None:
    services.traces = None if kind == "none" else Traces(str(tmp_path / "no" / "such"))
    states = StreamStates(services)
    states.start()
    found = states.state("support")
    states.close()
    assert found.known_at is None
    assert found.why_unknown
