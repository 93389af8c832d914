"""Each Kafka client gets its tokens from the function that the settings name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import aiokafka.errors
import faust
import kafka.errors
import pytest

from monitor.config_values.token_function import token_function
from monitor.errors import ConfigError
from monitor.settings import Broker
from pipelines.faust_consumer.options import faust_options
from pipelines.kafka.connection import async_client_options, client_options


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "our_tokens.py").write_text(
        "count = 0\n"
        "def token():\n    global count\n    count += 1\n    return f'token-{count}'\n"
        "def broken():\n    raise RuntimeError('away')\n"
        "def number():\n    return 3\n"
        "value = 'no function'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "our_tokens"
    sys.modules.pop("our_tokens", None)


def oauth(function: str, security: str = "SASL_PLAINTEXT") -> Broker:
    sasl = {"mechanism": "OAUTHBEARER", "token_provider": function}
    return Broker.model_validate({"security": security, "sasl": sasl})


async def test_every_client_asks_the_function_for_each_token(module: str) -> None:
    broker = oauth(f"{module}:token")
    blocking, coroutine, faust_ = client_options(broker), async_client_options(broker), faust_options(broker)
    assert blocking["sasl_mechanism"] == coroutine["sasl_mechanism"] == "OAUTHBEARER"
    assert "sasl_plain_password" not in blocking
    credentials = faust_["broker_credentials"]
    assert isinstance(credentials, faust.OAuthCredentials)
    assert blocking["sasl_oauth_token_provider"].token() == "token-1"
    assert await coroutine["sasl_oauth_token_provider"].token() == "token-2"
    assert await credentials.oauth_cb.token() == "token-3"


def test_over_tls_faust_gets_the_certificates_too(module: str) -> None:
    credentials = faust_options(oauth(f"{module}:token", "SASL_SSL"))["broker_credentials"]
    assert credentials.ssl_context is not None
    assert credentials.protocol.value == "SASL_SSL"


@pytest.mark.parametrize("function", ["broken", "number"])
async def test_a_function_that_gives_none_is_an_error_of_the_client(module: str, function: str) -> None:
    broker = oauth(f"{module}:{function}")
    with pytest.raises(kafka.errors.KafkaError, match=f"no token from {module}:{function}"):
        client_options(broker)["sasl_oauth_token_provider"].token()
    with pytest.raises(aiokafka.errors.KafkaError, match=f"no token from {module}:{function}"):
        await async_client_options(broker)["sasl_oauth_token_provider"].token()


@pytest.mark.parametrize("name", ["our_tokens:value", "our_tokens:absent", "no_such_module:token"])
def test_a_name_that_leads_nowhere_is_said(module: str, name: str) -> None:
    with pytest.raises(ConfigError, match="token_provider"):
        token_function(name)
