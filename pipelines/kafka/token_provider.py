"""OAUTHBEARER tokens for each Kafka client, from the function that the settings name (`broker.sasl.token_provider`).

The function is called without arguments for each connection and returns a token that is valid then, as text. It may
take time (a request to the identity provider) and should keep a token until it nears its end.
"""

from __future__ import annotations

import asyncio
import logging

import aiokafka.abc
import aiokafka.errors
import kafka.errors
from kafka.net.sasl.oauth import AbstractTokenProvider

from monitor.config_values.token_function import token_function

log = logging.getLogger(__name__)


def _token(name: str) -> str:
    """A token. Raises `ValueError` in one sentence, without the token, where the function gives none."""
    try:
        token = token_function(name)()
    except Exception as error:  # what an operator's function raises is theirs to choose, and no reason to hang
        log.warning("no token from %s: %s: %s", name, type(error).__name__, error)
        raise ValueError(f"no token from {name}: {type(error).__name__}: {error}") from error
    if not isinstance(token, str) or not token or not token.isascii() or "\x01" in token:
        raise ValueError(f"no token from {name}: it must return the token as text")
    return token


class BlockingTokens(AbstractTokenProvider):  # type: ignore[misc]
    """For kafka-python, which asks from its own thread."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def token(self) -> str:
        """A valid token. Raises `SaslAuthenticationFailedError`."""
        try:
            return _token(self._name)
        except ValueError as error:
            raise kafka.errors.SaslAuthenticationFailedError(str(error)) from error


class AsyncTokens(aiokafka.abc.AbstractTokenProvider):  # type: ignore[misc]
    """For aiokafka and Faust: asked in another thread, so that the event loop goes on."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def token(self) -> str:
        """A valid token. Raises `SaslAuthenticationFailed`."""
        try:
            return await asyncio.to_thread(_token, self._name)
        except ValueError as error:
            raise aiokafka.errors.SaslAuthenticationFailed(str(error)) from error
