"""Every sink that talks HTTP, against receivers that are not well."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from monitor.alerting.rendering.samples import sample_alert
from monitor.errors import DeliveryError, PermanentDelivery, RetryableDelivery
from monitor.settings import Settings
from monitor.sinks.base import Sink
from monitor.sinks.build import build_sinks
from monitor.sinks.settings import AnySinkConfig
from monitor.testing.sinks import check_failure
from tests.sinks.receiver import Answer, Receiver, drip, hang, hang_up

SECRET = "s3cr3t"
Make = Callable[[str], Sink]


def config(**data: object) -> AnySinkConfig:
    return Settings.model_validate({"sinks": [data]}).sinks[0]


def webhook(url: str) -> Sink:
    data = config(type="webhook", url=f"{url}/{SECRET}?k={SECRET}", secret=SECRET, timeout=0.3)
    return build_sinks([data], clock=lambda: 0.0)[0]


def alertmanager(url: str) -> Sink:
    data = config(type="alertmanager", urls=[f"{url}/{SECRET}"], username="u", password=SECRET, timeout=0.3)
    return build_sinks([data], clock=lambda: 0.0)[0]


def slack(url: str) -> Sink:
    return build_sinks([config(type="slack", url=f"{url}/{SECRET}", timeout=0.3)])[0]


def pagerduty(url: str) -> Sink:
    data = config(type="pagerduty", url=url, routing_key=SECRET.ljust(32, "x"), timeout=0.3)
    return build_sinks([data])[0]


SINKS = pytest.mark.parametrize("make", [webhook, alertmanager, slack, pagerduty])


@SINKS
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
    make: Make,
    status: int,
    headers: dict[str, str],
    error: type[DeliveryError],
    wait: float | None,
) -> None:
    server.status, server.headers, server.text = status, headers, "why\nnot\x1b[0m"
    sink = make(server.url)
    await check_failure(sink, error, secrets=[SECRET], retry_after_s=wait)
    assert len(server.requests) == 1  # neither repeated nor redirected by itself
    await sink.close()


@SINKS
@pytest.mark.parametrize("answer", [hang, drip, hang_up])
async def test_a_receiver_that_does_not_answer_is_tried_again(server: Receiver, make: Make, answer: Answer) -> None:
    server.answer = answer
    sink = make(server.url)
    await check_failure(sink, RetryableDelivery, secrets=[SECRET])
    server.answer = None
    await sink.close()


@SINKS
async def test_a_refused_connection_is_tried_again(nobody: str, make: Make) -> None:
    sink = make(nobody)
    await check_failure(sink, RetryableDelivery, secrets=[SECRET])
    await sink.close()


@SINKS
async def test_what_is_no_http_server_is_tried_again(make: Make) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"220 smtp.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sink = make(f"http://127.0.0.1:{port}")
    await check_failure(sink, RetryableDelivery, secrets=[SECRET])
    await sink.close()
    server.close()


@SINKS
async def test_a_receiver_that_hung_for_many_posts_at_once_is_reached_when_it_is_well(
    server: Receiver, make: Make
) -> None:
    server.answer = hang
    sink = make(server.url)
    for _ in range(2):
        failures = await asyncio.gather(*(sink.send(sample_alert()) for _ in range(40)), return_exceptions=True)
        assert {type(failure) for failure in failures} == {RetryableDelivery}
    server.answer = None
    server.status = 202 if make is pagerduty else 200
    server.text = "ok"
    await sink.send(sample_alert())
    await sink.close()
