from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
from pathlib import Path

import pytest

from monitor.alerting.rendering.samples import sample_alert
from monitor.errors import DeliveryError, PermanentDelivery, RetryableDelivery
from monitor.sinks.base import Resources
from monitor.sinks.email.config import EmailSinkConfig
from monitor.sinks.email.sink import EmailSink
from monitor.testing.sinks import check_failure, check_sink
from tests.sinks.email.server import PASSWORD, USER, make_certificate, smtp_server

NOW = 1_763_890_900.0
openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")


def sink(port: int, **data: object) -> EmailSink:
    config = {
        "type": "email", "host": "127.0.0.1", "port": port, "security": "none", "timeout": 5,
        "sender": "oqm@example.org", "recipients": ["a@example.org", "b@example.org"], **data,
    }  # fmt: skip
    return EmailSink(EmailSinkConfig.model_validate(config), Resources(clock=lambda: NOW))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


async def test_keeps_the_contract() -> None:
    async with smtp_server() as box:
        await check_sink(lambda: sink(box.port), box.keys)


async def test_every_recipient_gets_it_from_the_sender() -> None:
    async with smtp_server() as box:
        await sink(box.port).send(sample_alert())
        assert box.envelopes[0].mail_from == "oqm@example.org"
        assert box.envelopes[0].rcpt_tos == ["a@example.org", "b@example.org"]
        assert sample_alert().title in box.mails[0]["Subject"]


@openssl
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # it has TLS from the first byte
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_the_way_is_encrypted_before_the_password_is_said(
    certificate: tuple[Path, ssl.SSLContext], security: str
) -> None:
    ca_file, context = certificate
    async with smtp_server(context, tls=security == "tls", auth=True) as box:
        data = {"security": security, "ca_file": str(ca_file), "username": USER, "password": PASSWORD}
        await sink(box.port, host="localhost", **data).send(sample_alert())
        assert box.logins == [PASSWORD.encode()]
        assert len(box.mails) == 1
        wrong = sink(box.port, host="localhost", **data | {"password": "wr0ng-s3cret"})
        await check_failure(wrong, PermanentDelivery, secrets=["wr0ng-s3cret"])


@openssl
async def test_a_certificate_that_nobody_vouches_for_gets_no_mail(
    certificate: tuple[Path, ssl.SSLContext], tmp_path: Path
) -> None:
    async with smtp_server(certificate[1]) as box:
        data = {"security": "starttls", "username": USER, "password": PASSWORD}
        await check_failure(sink(box.port, host="localhost", **data), RetryableDelivery, secrets=[PASSWORD])
        assert not box.envelopes
    ca_file, context = make_certificate(tmp_path, "elsewhere.example")
    async with smtp_server(context) as box:
        await check_failure(sink(box.port, host="localhost", ca_file=str(ca_file), **data), RetryableDelivery)
        assert not box.logins


async def test_a_server_without_starttls_gets_no_mail() -> None:
    async with smtp_server() as box:
        await check_failure(sink(box.port, security="starttls"), PermanentDelivery)
        assert not box.envelopes


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("451 try again later", RetryableDelivery),
        ("421 too many", RetryableDelivery),
        ("452 no room", RetryableDelivery),
        ("550 no such user", PermanentDelivery),
        ("552 too large", PermanentDelivery),
        ("554 spam", PermanentDelivery),
    ],
)
@pytest.mark.parametrize("step", ["recipients", "data"])
async def test_the_first_digit_says_whether_to_try_again(step: str, answer: str, error: type[DeliveryError]) -> None:
    async with smtp_server() as box:
        if step == "data":
            box.data = answer
        else:
            box.recipients = {"a@example.org": answer, "b@example.org": answer}
        await check_failure(sink(box.port), error)
        assert not box.envelopes


@pytest.mark.parametrize(
    ("answer", "error"), [("450 greylisted", RetryableDelivery), ("550 no such user", PermanentDelivery)]
)
async def test_one_recipient_refused_is_said_though_the_others_have_it(answer: str, error: type[DeliveryError]) -> None:
    async with smtp_server() as box:
        box.recipients = {"a@example.org": answer}
        with pytest.raises(error, match=f"{answer[:3]} for 1 of 2 recipients"):
            await sink(box.port).send(sample_alert())
        assert box.envelopes[0].rcpt_tos == ["b@example.org"]


async def test_a_refused_connection_is_tried_again() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        await check_failure(sink(taken.getsockname()[1]), RetryableDelivery)


async def _serve(answer: bytes, *, then: str) -> tuple[asyncio.Server, int]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        try:
            while then == "drip":
                writer.write(b"2")
                await writer.drain()
                await asyncio.sleep(0.01)
            if then == "hang":
                await reader.read()
        except ConnectionError:
            pass
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("answer", "then"),
    [
        (b"", "hang"),
        (b"", "drip"),
        (b"", "close"),
        (b"220 here\r\n", "hang"),
        (b"220 here\r\n", "close"),
        (b"421 busy\r\n", "close"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "close"),
    ],
)
async def test_a_server_that_does_not_answer_is_tried_again(answer: bytes, then: str) -> None:
    server, port = await _serve(answer, then=then)
    await check_failure(sink(port, timeout=0.3), RetryableDelivery)
    server.close()
    await asyncio.sleep(0.05)  # for the other end to notice


@openssl
async def test_a_server_that_takes_no_login_gets_no_mail(certificate: tuple[Path, ssl.SSLContext]) -> None:
    ca_file, context = certificate
    async with smtp_server(context) as box:
        data = {"security": "starttls", "ca_file": str(ca_file), "username": USER, "password": PASSWORD}
        await check_failure(sink(box.port, host="localhost", **data), PermanentDelivery, secrets=[PASSWORD])
        assert not box.envelopes


async def test_a_delivery_that_is_cancelled_closes_its_connection() -> None:
    connected, closed = asyncio.Event(), asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        await reader.readline()  # EHLO, which stays without an answer
        connected.set()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        closed.set()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    sending = asyncio.create_task(sink(server.sockets[0].getsockname()[1], timeout=60).send(sample_alert()))
    await connected.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await asyncio.wait_for(closed.wait(), 30)
    server.close()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"username": "u"}, "come together"),
        ({"username": "u", "password": "p"}, "readable by anybody"),
        ({"recipients": []}, "at least 1"),
        ({"recipients": ["a@example.org\r\nBcc: x@y"]}, "must be an address"),
        ({"sender": "nobody"}, "must be an address"),
        ({"security": "ssl"}, "starttls"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(data: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sink(25, **data)


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
async def test_the_port_follows_the_security(security: str, port: int) -> None:
    from monitor.sinks.email.config import PORTS

    assert PORTS[sink(1, security=security)._config.security] == port
