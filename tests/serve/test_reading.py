"""Quality and traces from a trace store, feedback to Kafka."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitor.events.schema import Model, OutputEvent
from monitor.publisher import OutputPublisher
from monitor.serve.context import Services
from monitor.serve.traces import Traces
from monitor.settings import Settings
from monitor.store.open import open_store
from monitor.store.privacy import Privacy
from monitor.store.records import Incoming, Place
from tests.publisher.fake import FakeProducer
from tests.serve.conftest import Clock, Tokens, client_of
from tests.serve.test_actions import kind_of
from tests.store.judged_stream import NOON, Log, judgment, output_rows

CRITERIA = """
evaluators: [{kind: classifier, name: main}]
streams: [{match: "support", criteria: [{name: helpful, pass: helps, evaluator: main, sample: {uniform: 0.5}}]}]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate({"store": {"location": str(tmp_path / "traces"), "segment": "attributes.tenant"}})


@pytest.fixture
async def reader(services: Services, settings: Settings, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    services.settings, services.traces = settings, (store := Traces(settings.store.location))
    clock.now = NOON + 3_600
    async with client_of(services) as client:
        yield client
    store.close()


@pytest.fixture
def judged(settings: Settings) -> None:
    """Forty outputs of which twenty were judged, one in four failing; and one output in full."""
    log = Log()
    log.append(output_rows(range(40)))
    for number in range(20):
        log.append(judgment(number, number % 4 != 0))
    store = open_store(settings.store.location)
    store.write(log.rows())
    whole = Incoming()
    event = OutputEvent(id="a/1", stream="support", time=NOON, output="Yes.", input="Mail ann@example.com?")
    other = OutputEvent(id="a/1", stream="other", time=NOON, output="No.", model=Model(name="m"))
    whole.add_outputs([(event, Place("t", 0, 900, NOON)), (other, Place("t", 0, 901, NOON))], Privacy())
    store.write(whole)
    store.close()


@pytest.mark.usefixtures("judged")
async def test_quality_has_a_rate_with_its_interval(reader: httpx.AsyncClient, tokens: Tokens) -> None:
    headers = tokens("read")
    answer = await reader.get("/v1/quality?stream=supp*&criterion=helpful&since=2d", headers=headers)
    (found,) = answer.json()["estimates"]
    assert (found["rate"], found["judged"], found["always_valid"]) == (0.75, 20, True)
    assert found["low"] < 0.75 < found["high"]
    once = await reader.get("/v1/quality?one_look=true", headers=headers)
    (narrower,) = once.json()["estimates"]
    assert narrower["high"] - narrower["low"] < found["high"] - found["low"]
    parts = (await reader.get("/v1/quality?segment=model&slice=language", headers=headers)).json()["estimates"]
    assert [one["by"] for one in parts] == [{"model": "m 7", "language": "en"}]
    none = await reader.get("/v1/quality?slice=language=de", headers=headers)
    assert none.json() == {"estimates": []}


@pytest.mark.parametrize(
    "query",
    ["since=soon", "since=2090-01-01", "segment=tenant", "slice=weather", "slice=language=", "slice=length=huge",
     "segment=model&segment=model", "one_look=perhaps"],
)  # fmt: skip
@pytest.mark.usefixtures("judged")
async def test_a_query_that_means_nothing_says_what_to_change(
    reader: httpx.AsyncClient, tokens: Tokens, query: str
) -> None:
    answer = await reader.get(f"/v1/quality?{query}", headers=tokens("read"))
    assert kind_of(answer) == (422, "invalid-query")
    assert query.partition("=")[0] in answer.json()["detail"]


@pytest.mark.usefixtures("judged")
async def test_a_trace_has_what_is_known_of_an_output(reader: httpx.AsyncClient, tokens: Tokens) -> None:
    headers = tokens("read")
    both = (await reader.get("/v1/traces/a%2F1", headers=headers)).json()["traces"]
    assert {one["output"]["stream"] for one in both} == {"support", "other"}
    (one,) = (await reader.get("/v1/traces/a%2F1?stream=support", headers=headers)).json()["traces"]
    assert one["output"]["output"] == "Yes."
    assert "ann@example.com" not in json.dumps(one)
    assert kind_of(await reader.get("/v1/traces/nothing", headers=headers)) == (404, "no-such-output")


async def test_without_a_store_nobody_says_that_there_is_nothing(
    reader: httpx.AsyncClient, client: httpx.AsyncClient, tokens: Tokens, services: Services
) -> None:
    headers = tokens("read")
    for path in ("/v1/quality", "/v1/traces/a"):
        missing = await reader.get(path, headers=headers)
        assert kind_of(missing) == (503, "store-unavailable")
        assert missing.headers["retry-after"] == "1"
    services.traces = None
    for path in ("/v1/quality", "/v1/traces/a"):
        assert kind_of(await client.get(path, headers=headers)) == (501, "no-trace-store")


class Publishing:
    """A service whose feedback goes to a producer of the test."""

    def __init__(self, services: Services, producer: FakeProducer) -> None:
        services.publisher = OutputPublisher(producer=lambda: producer, strict=True, buffer_events=3, block_s=0)
        self.publisher = services.publisher
        self.client = client_of(services)

    async def say(self, headers: dict[str, str], **body: Any) -> httpx.Response:
        return await self.client.post("/v1/feedback", headers=headers, json=body)


@pytest.fixture
def confirming(services: Services) -> Iterator[tuple[Publishing, FakeProducer]]:
    producer = FakeProducer()
    made = Publishing(services, producer)
    yield made, producer
    made.publisher.close()


async def test_feedback_is_taken_when_kafka_has_it(confirming: tuple[Publishing, FakeProducer], tokens: Tokens) -> None:
    service, producer = confirming
    headers = tokens("feedback")
    for body in ({"value": True}, {"value": 4, "scale": [1, 5], "by": "u1"}, {"text": "It was Monday."}):
        answer = await service.say(headers, event="e1", stream="support", **body)
        assert (answer.status_code, answer.json()) == (200, {"delivered": True})
    sent = [json.loads(message["value"]) for message in producer.sent]
    assert {message["topic"] for message in producer.sent} == {"oqm.feedback"}
    assert [one.get("kind", "thumb") for one in sent] == ["thumb", "rating", "correction"]
    for wrong in ({"value": 9, "scale": [1, 5]}, {"value": 4}, {}, {"value": True, "time": "soon"}):
        assert kind_of(await service.say(headers, event="e1", **wrong)) == (422, "invalid-feedback")
    assert len(producer.sent) == 3


async def test_feedback_that_kafka_does_not_have_yet_is_said_to_be_so(
    services: Services, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.serve.routes.feedback.CONFIRMED_WITHIN_S", 0.01)
    service, headers = Publishing(services, FakeProducer(hold=True)), tokens("feedback")
    for number in range(3):
        answer = await service.say(headers, event=f"e{number}", value=True)
        assert (answer.status_code, answer.json()) == (202, {"delivered": False})
    full = await service.say(headers, event="e4", value=True)
    assert kind_of(full) == (503, "kafka-unavailable")
    assert full.headers["retry-after"] == "5"
    service.publisher.strict = False
    service.publisher.close(0.01)
