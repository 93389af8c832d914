"""How a command finds its Kafka: `--broker` or `OQM_BROKER`, the security options of the client, or the file's section.

The order is option, environment, configuration file, default.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.settings import Settings

PANEL = "Kafka"

BrokerOption = Annotated[
    str | None,
    typer.Option(
        "--broker",
        envvar="OQM_BROKER",
        metavar="HOST:PORT[,...]",
        help="Bootstrap servers; takes precedence over the configuration file.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
Protocol = Annotated[
    str | None,
    typer.Option(
        "--security-protocol",
        envvar="OQM_SECURITY_PROTOCOL",
        metavar="NAME",
        help="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
Mechanism = Annotated[
    str | None,
    typer.Option(
        "--sasl-mechanism",
        envvar="OQM_SASL_MECHANISM",
        metavar="NAME",
        help="PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
Username = Annotated[
    str | None,
    typer.Option(
        "--sasl-username", envvar="OQM_SASL_USERNAME", metavar="NAME", show_default=False, rich_help_panel=PANEL
    ),
]
Password = Annotated[
    str | None,
    typer.Option(
        "--sasl-password",
        envvar="OQM_SASL_PASSWORD",
        metavar="SECRET",
        help="Better given by the environment: other users of the machine can see a command's arguments.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--sasl-password-file",
        envvar="OQM_SASL_PASSWORD_FILE",
        help="File that holds the password.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
TokenProvider = Annotated[
    str | None,
    typer.Option(
        "--sasl-oauth-token-provider",
        envvar="OQM_SASL_OAUTH_TOKEN_PROVIDER",
        metavar="MODULE:FUNCTION",
        help="Python function that returns a token, for OAUTHBEARER.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        "--ssl-cafile",
        envvar="OQM_SSL_CAFILE",
        help="Certificate authority that the broker's certificate is checked against.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
CertFile = Annotated[
    Path | None,
    typer.Option(
        "--ssl-certfile",
        envvar="OQM_SSL_CERTFILE",
        help="This client's certificate.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--ssl-keyfile",
        envvar="OQM_SSL_KEYFILE",
        help="Private key of this client's certificate.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]


@dataclass(frozen=True, slots=True)
class Connection:
    """Where Kafka is and how to talk to it, as far as the command line or the environment said."""

    broker: str | None = None
    security_protocol: str | None = None
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: str | None = None
    sasl_password_file: Path | None = None
    sasl_oauth_token_provider: str | None = None
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None

    def over(self, settings: Settings) -> Settings:
        """`settings` with the broker section that the options ask for; raises `ConfigError` where they do not fit."""
        from pydantic import ValidationError

        from monitor.config_values.plain_errors import first_sentence
        from monitor.config_values.secret_files import read_secret
        from monitor.settings import Broker

        section = settings.broker
        given = {
            "--broker": self.broker,
            "--security-protocol": self.security_protocol,
            "--sasl-mechanism": self.sasl_mechanism,
            "--sasl-username": self.sasl_username,
            "--sasl-password": self.sasl_password,
            "--sasl-oauth-token-provider": self.sasl_oauth_token_provider,
        }
        for option, text in given.items():
            if text is not None and not text.strip():
                raise ConfigError(f"{option} is empty: give a value, or leave the option out for the file's")
        if self.sasl_password is not None and self.sasl_password_file is not None:
            raise ConfigError("--sasl-password and --sasl-password-file are both set: give one of the two")
        password: object = self.sasl_password or section.sasl.password
        if self.sasl_password_file is not None:
            try:
                password = read_secret(str(self.sasl_password_file))
            except ValueError as error:
                raise ConfigError(f"--sasl-password-file: {error}") from None
        sasl = {
            "mechanism": self.sasl_mechanism.upper() if self.sasl_mechanism else section.sasl.mechanism,
            "username": self.sasl_username or section.sasl.username,
            "password": password,
            "token_provider": self.sasl_oauth_token_provider or section.sasl.token_provider,
        }
        if self.sasl_mechanism and sasl["mechanism"] != "OAUTHBEARER" and not self.sasl_oauth_token_provider:
            sasl["token_provider"] = None  # the file's, for a mechanism that the option replaces
        files = {"ca_file": self.ssl_cafile, "cert_file": self.ssl_certfile, "key_file": self.ssl_keyfile}
        for path in files.values():
            if path is not None and not path.is_file():
                raise ConfigError(f"{path}: no such file")
        ssl = section.ssl.model_dump() | {name: str(path) for name, path in files.items() if path is not None}
        try:
            broker = Broker.model_validate(
                {
                    "bootstrap": self.broker or section.bootstrap,
                    "security": self.security_protocol.upper() if self.security_protocol else section.security,
                    "sasl": sasl,
                    "ssl": ssl,
                }
            )
        except ValidationError as error:
            raise ConfigError(f"broker {first_sentence(Broker, error)}") from None
        return settings.model_copy(update={"broker": broker})


def connection_from_options(
    broker: BrokerOption = None,
    security_protocol: Protocol = None,
    sasl_mechanism: Mechanism = None,
    sasl_username: Username = None,
    sasl_password: Password = None,
    sasl_password_file: PasswordFile = None,
    sasl_oauth_token_provider: TokenProvider = None,
    ssl_cafile: CaFile = None,
    ssl_certfile: CertFile = None,
    ssl_keyfile: KeyFile = None,
) -> Connection:
    """The connection that the options name. Raises `ConfigError` for `--broker ""`: it would mean the default."""
    if broker is not None and not broker.strip():
        raise ConfigError("--broker is empty: give host:port, or leave the option out for the file's")
    return Connection(
        broker=broker,
        security_protocol=security_protocol,
        sasl_mechanism=sasl_mechanism,
        sasl_username=sasl_username,
        sasl_password=sasl_password,
        sasl_password_file=sasl_password_file,
        sasl_oauth_token_provider=sasl_oauth_token_provider,
        ssl_cafile=ssl_cafile,
        ssl_certfile=ssl_certfile,
        ssl_keyfile=ssl_keyfile,
    )


def with_connection(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes `connection: Connection` the options above in its place."""
    return _with_connection(command, list(inspect.signature(connection_from_options).parameters.values()))


def with_optional_connection(command: Callable[..., None]) -> Callable[..., None]:
    """The same for a command that runs without Kafka too: only `--broker` itself, not `OQM_BROKER`, takes it there.

    Nobody should create topics on a production cluster because a variable happened to be set.
    """
    options = list(inspect.signature(connection_from_options).parameters.values())
    broker = Annotated[
        str | None,
        typer.Option(
            "--broker",
            metavar="HOST:PORT[,...]",
            help="Use this Kafka; OQM_BROKER is not read here.",
            show_default=False,
            rich_help_panel=PANEL,
        ),
    ]
    return _with_connection(command, [options[0].replace(annotation=broker), *options[1:]])


def _with_connection(command: Callable[..., None], options: list[inspect.Parameter]) -> Callable[..., None]:
    own = inspect.signature(command).parameters

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        chosen = {option.name: arguments.pop(option.name) for option in options}
        command(connection=connection_from_options(**chosen), **arguments)

    hints = {
        **get_type_hints(connection_from_options, include_extras=True),
        **{option.name: option.annotation for option in options if not isinstance(option.annotation, str)},
        **get_type_hints(command, include_extras=True),
        "return": None,
    }
    parameters = [own[name] for name in own if name != "connection"] + options
    parameters = [p.replace(annotation=hints[p.name], kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {name: hint for name, hint in hints.items() if name != "connection"}
    del run.__wrapped__
    return run
