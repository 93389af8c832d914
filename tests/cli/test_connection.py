"""Options, environment and configuration file: who wins, and what is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from monitor.cli.connection import Connection, with_connection, with_optional_connection
from monitor.errors import ConfigError
from monitor.settings import Broker, Settings

RUNNER = CliRunner()


def test_what_is_not_given_stays_as_the_file_has_it() -> None:
    settings = Settings(broker=Broker(bootstrap="kafka-1:9092,kafka-2:9092"))
    assert Connection().over(settings).broker == settings.broker


def test_options_win_over_the_file() -> None:
    settings = Settings(broker=Broker(bootstrap="kafka-1:9092"))
    chosen = Connection(
        broker="other:1234",
        security_protocol="sasl_ssl",
        sasl_mechanism="scram-sha-256",
        sasl_username="me",
        sasl_password="secret",
    ).over(settings)
    assert chosen.broker.bootstrap == "other:1234"
    assert chosen.broker.security == "SASL_SSL"
    assert chosen.broker.sasl.mechanism == "SCRAM-SHA-256"
    assert chosen.broker.sasl.password is not None
    assert chosen.broker.sasl.password.get_secret_value() == "secret"
    assert chosen.topics == settings.topics


def test_a_password_in_the_file_goes_with_options(tmp_path: Path) -> None:
    from monitor.settings import load_settings

    file = tmp_path / "monitor.yaml"
    file.write_text("broker:\n  security: SASL_PLAINTEXT\n  sasl: {username: me, password: hidden}\n")
    chosen = Connection(broker="b:1").over(load_settings(file))
    assert chosen.broker.sasl.password is not None
    assert chosen.broker.sasl.password.get_secret_value() == "hidden"


@pytest.mark.parametrize(
    ("connection", "says"),
    [
        (Connection(broker="nohost"), "host:port"),
        (Connection(broker="host:99999"), "host:port"),
        (Connection(security_protocol="TLS"), "security"),
        (Connection(security_protocol="SASL_SSL"), "username"),
        (Connection(sasl_mechanism="GSSAPI"), "mechanism"),
        (Connection(ssl_cafile=Path("/not/there.pem")), "no such file"),
    ],
)
def test_what_does_not_fit_is_one_line(connection: Connection, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as raised:
        connection.over(Settings())
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)


def probe(optional: bool) -> tuple[typer.Typer, list[Connection]]:
    seen: list[Connection] = []

    def command(connection: Connection, name: str = "x") -> None:
        """Probe."""
        seen.append(connection)

    app = typer.Typer()
    app.command()((with_optional_connection if optional else with_connection)(command))
    return app, seen


def test_the_environment_names_the_broker_where_kafka_is_needed() -> None:
    app, seen = probe(optional=False)
    result = RUNNER.invoke(app, [], env={"OQM_BROKER": "from-env:1"})
    assert result.exit_code == 0, result.output
    RUNNER.invoke(app, ["--broker", "from-option:2"], env={"OQM_BROKER": "from-env:1"})
    assert [connection.broker for connection in seen] == ["from-env:1", "from-option:2"]


def test_the_environment_alone_takes_no_replay_to_kafka() -> None:
    app, seen = probe(optional=True)
    RUNNER.invoke(app, [], env={"OQM_BROKER": "from-env:1"})
    RUNNER.invoke(app, ["--broker", "from-option:2"], env={"OQM_BROKER": "from-env:1"})
    assert [connection.broker for connection in seen] == [None, "from-option:2"]
