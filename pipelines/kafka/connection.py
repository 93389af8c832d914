"""Options of the Kafka clients from the settings' `broker` section: addresses, encryption, credentials."""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from kafka.errors import KafkaError

from monitor.errors import BrokerError, ConfigError
from monitor.settings import Broker
from pipelines.kafka.token_provider import AsyncTokens, BlockingTokens


def ssl_context(broker: Broker) -> ssl.SSLContext | None:
    """The certificates of `broker.ssl`; None where the connection is not encrypted. Raises `ConfigError`."""
    if not broker.security.endswith("SSL"):
        return None
    given = broker.ssl
    try:
        context = ssl.create_default_context(cafile=given.ca_file)
        context.check_hostname = given.check_hostname
        if given.cert_file:
            password = given.key_password.get_secret_value() if given.key_password else None
            context.load_cert_chain(given.cert_file, given.key_file, password)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"broker.ssl: the certificates cannot be used: {error}") from error
    return context


def _security(broker: Broker) -> dict[str, Any]:
    """Options that kafka-python and aiokafka name alike."""
    options: dict[str, Any] = {"security_protocol": broker.security, "ssl_context": ssl_context(broker)}
    if token_provider(broker):
        options["sasl_mechanism"] = broker.sasl.mechanism
    elif broker.security.startswith("SASL") and broker.sasl.password is not None:
        options["sasl_mechanism"] = broker.sasl.mechanism
        options["sasl_plain_username"] = broker.sasl.username
        options["sasl_plain_password"] = broker.sasl.password.get_secret_value()
    return {name: value for name, value in options.items() if value is not None}


def servers(broker: Broker) -> list[str]:
    """The bootstrap servers, `host:port` each."""
    return [server.strip() for server in broker.bootstrap.split(",")]


def token_provider(broker: Broker) -> str | None:
    """The function that gives tokens, where the broker asks for them."""
    return broker.sasl.token_provider if broker.security.startswith("SASL") else None


def client_options(broker: Broker) -> dict[str, Any]:
    """Keyword arguments of kafka-python's clients."""
    options = {"bootstrap_servers": servers(broker), **_security(broker)}
    if name := token_provider(broker):
        options["sasl_oauth_token_provider"] = BlockingTokens(name)
    return options


def async_client_options(broker: Broker) -> dict[str, Any]:
    """Keyword arguments of aiokafka's clients: as kafka-python's but for what gives tokens."""
    options = client_options(broker)
    if name := token_provider(broker):
        options["sasl_oauth_token_provider"] = AsyncTokens(name)
    return options


BETWEEN_REFRESHES_S = 0.1
"""As `retry.backoff.ms` of Kafka's own clients."""


def spaced(producer: AIOKafkaProducer) -> AIOKafkaProducer:
    """The producer, asking where partitions are led at most ten times a second.

    While a broker restarts, aiokafka's sender asks again at once when an answer names no leader or nobody answers:
    5,000 times and log lines a second, from each worker.
    """
    client = producer.client
    refresh, before = client._metadata_update, -math.inf

    async def spaced_refresh(*args: Any) -> Any:
        nonlocal before
        now = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, before + BETWEEN_REFRESHES_S - now()))
        try:
            return await refresh(*args)
        finally:
            before = now()

    client._metadata_update = spaced_refresh
    return producer


@contextmanager
def quiet_client_logs() -> Iterator[None]:
    """While the first contact is tried: the clients log each refused attempt, our one line says it better."""
    loggers = [logging.getLogger(name) for name in ("kafka", "aiokafka")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def unreachable(broker: Broker, error: KafkaError | Exception) -> BrokerError:
    """The one line for a broker that does not answer."""
    said = str(error) or type(error).__name__
    return BrokerError(f"no Kafka broker answers at {broker.bootstrap} ({broker.security}): {said}")
