"""Every sink that posts to a URL: the contract, and receivers that fail. A new one is found by the table of sinks."""

from __future__ import annotations

import asyncio

import pytest

from monitor.alerting.rendering.samples import sample_alert
from monitor.errors import DeliveryError, PermanentDelivery, RetryableDelivery
from monitor.sinks.registry import SinkType
from monitor.testing.sinks import check_failure, check_sink
from tests.sinks.receiver import Answer, Receiver, drip, hang, hang_up
from tests.sinks.samples import SECRET, at, http_sinks

EVERY_HTTP_SINK = pytest.mark.parametrize("kind", http_sinks(), ids=lambda kind: kind.name)


@EVERY_HTTP_SINK
async def test_keeps_the_contract(server: Receiver, kind: SinkType) -> None:
    server.text = "ok"
    await check_sink(lambda: at(kind, server.url), server.keys)


@EVERY_HTTP_SINK
@pytest.mark.parametrize(
    ("status", "headers", "error", "wait"),
    [
        (500, {}, RetryableDelivery, None),
        (502, {}, RetryableDelivery, None),
        (503, {"Retry-After": "120"}, RetryableDelivery, 120.0),
        (429, {"Retry-After": "7"}, RetryableDelivery, 7.0),
        (429, {}, RetryableDelivery, None),
        (429, {"Retry-After": "soon"}, RetryableDelivery, None),
        (429, {"Retry-After": "-5"}, RetryableDelivery, 0.0),
        (429, {"Retry-After": "inf"}, RetryableDelivery, None),
        (
            503,
            {"Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT", "Date": "Wed, 21 Oct 2015 07:28:00 GMT"},
            RetryableDelivery,
            30.0,
        ),
        (408, {}, RetryableDelivery, None),
        (400, {}, PermanentDelivery, None),
        (401, {}, PermanentDelivery, None),
        (404, {}, PermanentDelivery, None),
        (413, {}, PermanentDelivery, None),
        (301, {"Location": "http://127.0.0.1:1/"}, PermanentDelivery, None),
    ],
)
async def test_the_answer_says_whether_to_try_again(
    server: Receiver,
    kind: SinkType,
    status: int,
    headers: dict[str, str],
    error: type[DeliveryError],
    wait: float | None,
) -> None:
    server.status, server.headers, server.text = status, headers, "why\nnot\x1b[0m"
    sink = at(kind, server.url)
    await check_failure(sink, error, secrets=[SECRET], retry_after_s=wait)
    assert len(server.requests) == 1  # neither repeated nor redirected by itself
    await sink.close()


@EVERY_HTTP_SINK
@pytest.mark.parametrize("answer", [hang, drip, hang_up])
async def test_a_receiver_that_does_not_answer_is_tried_again(server: Receiver, kind: SinkType, answer: Answer) -> None:
    server.answer = answer
    sink = at(kind, server.url)
    await check_failure(sink, RetryableDelivery, secrets=[SECRET])
    server.answer = None
    await sink.close()


@EVERY_HTTP_SINK
async def test_a_refused_connection_is_tried_again(nobody: str, kind: SinkType) -> None:
    sink = at(kind, nobody)
    await check_failure(sink, RetryableDelivery, secrets=[SECRET])
    await sink.close()


@EVERY_HTTP_SINK
async def test_what_is_no_http_server_is_tried_again(kind: SinkType) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"220 smtp.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sink = at(kind, f"http://127.0.0.1:{port}")
    await check_failure(sink, RetryableDelivery, secrets=[SECRET])
    await sink.close()
    server.close()


@EVERY_HTTP_SINK
async def test_a_receiver_that_hung_for_many_posts_at_once_is_reached_when_it_is_well(
    server: Receiver, kind: SinkType
) -> None:
    server.answer = hang
    sink = at(kind, server.url)
    for _ in range(2):
        failures = await asyncio.gather(*(sink.send(sample_alert()) for _ in range(40)), return_exceptions=True)
        assert {type(failure) for failure in failures} == {RetryableDelivery}
    server.answer = None
    server.status = 200
    server.text = "ok"
    await sink.send(sample_alert())
    await sink.close()
