"""Faust's options from the settings' `broker` section: addresses and credentials."""

from __future__ import annotations

from typing import Any

import faust

from monitor.settings import Broker
from pipelines.kafka.connection import servers, ssl_context, token_provider
from pipelines.kafka.token_provider import AsyncTokens


def faust_options(broker: Broker) -> dict[str, Any]:
    """Keyword arguments of `faust.App`."""
    options: dict[str, Any] = {"broker": [f"kafka://{server}" for server in servers(broker)]}
    context = ssl_context(broker)
    if name := token_provider(broker):
        options["broker_credentials"] = faust.OAuthCredentials(oauth_cb=AsyncTokens(name), ssl_context=context)
    elif broker.security.startswith("SASL") and broker.sasl.password is not None:
        options["broker_credentials"] = faust.SASLCredentials(
            username=broker.sasl.username,
            password=broker.sasl.password.get_secret_value(),
            mechanism=broker.sasl.mechanism,
            ssl_context=context,
        )
    elif context is not None:
        options["broker_credentials"] = faust.SSLCredentials(context=context)
    return options
