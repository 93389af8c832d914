"""OAUTHBEARER on a real Kafka: every client of the worker and of the commands authenticates with the named function."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from monitor.demo.assistant import SupportAssistant
from monitor.errors import BrokerError
from monitor.settings import Broker, Settings
from pipelines.kafka.topics import ensure_topics, read_topics
from tests.brokers.apache import ApacheKafka, missing_tools
from tests.cli.run_oqm import json_lines, oqm
from tests.cli.worker_process import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PACKAGE = "org.apache.kafka.common.security.oauthbearer"
LOGIN = f"{PACKAGE}.OAuthBearerLoginModule"
VALIDATOR = f"{PACKAGE}.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler"


class OAuthKafka(ApacheKafka):
    """Its listener takes unsecured tokens, as Kafka has them for development."""

    name = "Apache Kafka with OAUTHBEARER"

    def server_properties(self) -> str:
        """The listener of the clients asks for OAUTHBEARER, that of the broker itself for nothing."""
        text = super().server_properties().replace("PLAINTEXT://127.0.0.1", "CLIENTS://127.0.0.1")
        text = text.replace("PLAINTEXT:PLAINTEXT", "CLIENTS:SASL_PLAINTEXT")
        text = text.replace("inter.broker.listener.name=PLAINTEXT", "inter.broker.listener.name=CLIENTS")
        prefix = "listener.name.clients.oauthbearer.sasl"
        return text + (
            "sasl.enabled.mechanisms=OAUTHBEARER\nsasl.mechanism.inter.broker.protocol=OAUTHBEARER\n"
            f'{prefix}.jaas.config={LOGIN} required unsecuredLoginStringClaim_sub="broker";\n'
            f"{prefix}.server.callback.handler.class={VALIDATOR}\n"
        )


@pytest.fixture(scope="module")
def kafka() -> Iterator[OAuthKafka]:
    if missing := missing_tools():
        pytest.skip(missing)
    with OAuthKafka() as broker:
        yield broker


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of an operator's own, on the Python path of this process and of the worker's."""
    (tmp_path / "operators_tokens.py").write_text(
        "import base64, json, time\n"
        "def part(data):\n"
        "    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip('=')\n"
        "def token():\n"
        "    now = time.time()\n"
        "    claims = {'sub': 'oqm', 'iat': int(now) - 5, 'exp': int(now) + 600}\n"
        "    return part({'alg': 'none'}) + '.' + part(claims) + '.'\n"
        "def expired():\n"
        "    claims = {'sub': 'oqm', 'iat': 1.0, 'exp': 2.0}\n"
        "    return part({'alg': 'none'}) + '.' + part(claims) + '.'\n"
        "def broken():\n"
        "    raise RuntimeError('the identity provider is away')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    yield "operators_tokens"
    sys.modules.pop("operators_tokens", None)


def oauth(kafka: OAuthKafka, function: str) -> Broker:
    sasl = {"mechanism": "OAUTHBEARER", "token_provider": function}
    return Broker.model_validate({"bootstrap": kafka.address, "security": "SASL_PLAINTEXT", "sasl": sasl})


@pytest.mark.parametrize("function", ["expired", "broken"])
def test_who_has_no_valid_token_is_refused_in_one_line(kafka: OAuthKafka, provider: str, function: str) -> None:
    with pytest.raises(BrokerError) as refused:
        read_topics(oauth(kafka, f"{provider}:{function}"), Settings().topics)
    assert "\n" not in str(refused.value)
    assert kafka.address in str(refused.value)


def test_a_worker_and_every_command_authenticate(kafka: OAuthKafka, provider: str, tmp_path: Path) -> None:
    file = tmp_path / "monitor.yaml"
    file.write_text(
        f"broker: {{bootstrap: '{kafka.address}', security: SASL_PLAINTEXT,"
        f" sasl: {{mechanism: OAUTHBEARER, token_provider: '{provider}:token'}}}}\n"
        "worker: {checkpoint_interval: 500ms}\n"
    )
    at = ("--config", str(file))
    assert ensure_topics(oauth(kafka, f"{provider}:token"), Settings().topics)
    events = tmp_path / "events.jsonl"
    assistant = SupportAssistant(5)
    events.write_bytes(b"".join(msgspec.json.encode(assistant.event(time.time() + k)) + b"\n" for k in range(60)))
    published = oqm("publish", events, *at, PYTHONPATH=str(tmp_path))
    assert published.returncode == 0, published.stderr
    with WorkerProcess(*at, "--session-timeout", "6", folder=tmp_path, PYTHONPATH=str(tmp_path)) as worker:

        def watched() -> int:
            rows = json_lines(oqm("streams", *at, "--json").stdout)
            return sum(row["events"] for row in rows)

        worker.wait_until(lambda: watched() == 60)
    assert oqm("alert", "list", *at, "--json").returncode == 0
    decoded = json.loads(base64.urlsafe_b64decode(_token_of(provider).split(".")[1] + "=="))
    assert decoded["sub"] == "oqm"


def _token_of(provider: str) -> str:
    from monitor.config_values.token_function import token_function

    token = token_function(f"{provider}:token")()
    assert isinstance(token, str)
    return token
