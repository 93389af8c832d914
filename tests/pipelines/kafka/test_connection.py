from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from aiokafka import AIOKafkaProducer

from monitor.demo.broker_process import free_port
from monitor.errors import BrokerError, ConfigError
from monitor.settings import Broker, Settings
from pipelines.faust_consumer.options import faust_options
from pipelines.kafka.connection import BETWEEN_REFRESHES_S, client_options, spaced
from pipelines.kafka.topics import ensure_topics, private_topics, read_topics, topic_names


def broker(**fields: object) -> Broker:
    return Broker.model_validate({"bootstrap": "a:1, b:2", **fields})


def test_plain_text_needs_nothing_more() -> None:
    assert client_options(broker()) == {"bootstrap_servers": ["a:1", "b:2"], "security_protocol": "PLAINTEXT"}
    assert faust_options(broker()) == {"broker": ["kafka://a:1", "kafka://b:2"]}


def test_sasl_goes_to_every_client() -> None:
    sasl = {"mechanism": "SCRAM-SHA-256", "username": "oqm", "password": "secret"}
    options = client_options(broker(security="SASL_PLAINTEXT", sasl=sasl))
    assert options["sasl_mechanism"] == "SCRAM-SHA-256"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("oqm", "secret")
    credentials = faust_options(broker(security="SASL_PLAINTEXT", sasl=sasl))["broker_credentials"]
    assert (credentials.username, credentials.password, credentials.mechanism.value) == (
        "oqm",
        "secret",
        "SCRAM-SHA-256",
    )


def test_ssl_checks_the_host_unless_set_otherwise() -> None:
    context = client_options(broker(security="SSL"))["ssl_context"]
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert not client_options(broker(security="SSL", ssl={"check_hostname": False}))["ssl_context"].check_hostname
    assert faust_options(broker(security="SSL"))["broker_credentials"].context.check_hostname


def test_a_certificate_that_is_none_is_said_by_its_section(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    with pytest.raises(ConfigError, match=r"broker\.ssl"):
        client_options(broker(security="SSL", ssl={"ca_file": str(tmp_path / "ca.pem")}))


@pytest.mark.parametrize("ask", [ensure_topics, read_topics])
def test_no_broker_is_one_line_that_names_it(ask: object) -> None:
    settings = Settings(broker=Broker(bootstrap=f"127.0.0.1:{free_port()}"))
    with pytest.raises(BrokerError, match=rf"^no Kafka broker answers at {settings.broker.bootstrap} [^\n]*$"):
        ask(settings.broker, settings.topics)  # type: ignore[operator]


def test_private_topics_share_no_name_with_the_others() -> None:
    topics = Settings().topics
    private = private_topics(topics, "run1")
    assert not set(topic_names(private)) & set(topic_names(topics))
    assert len(set(topic_names(private))) == len(topics.parts)


async def test_a_producer_asks_for_leaders_at_intervals_although_each_answer_names_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    async def refresh(*_: object) -> bool:
        asked.append(now)
        return False

    asked: list[float] = []
    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    client = SimpleNamespace(_metadata_update=refresh)
    producer = spaced(cast(AIOKafkaProducer, SimpleNamespace(client=client)))
    for _ in range(4):
        assert not await producer.client._metadata_update("cluster", "topics")
    assert asked == pytest.approx([100.0 + BETWEEN_REFRESHES_S * k for k in range(4)])
