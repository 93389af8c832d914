"""How a command finds its Kafka: `--broker` or `OQM_BROKER`, and the security options of the client."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from monitor.errors import ConfigError

PANEL = "Kafka"

Broker = Annotated[
    str | None,
    typer.Option(
        "--broker",
        envvar="OQM_BROKER",
        metavar="HOST:PORT[,...]",
        help="Bootstrap servers.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
Protocol = Annotated[
    str,
    typer.Option(
        "--security-protocol",
        envvar="OQM_SECURITY_PROTOCOL",
        metavar="NAME",
        help="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
        rich_help_panel=PANEL,
    ),
]
Mechanism = Annotated[
    str | None,
    typer.Option(
        "--sasl-mechanism",
        envvar="OQM_SASL_MECHANISM",
        metavar="NAME",
        help="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.",
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
        help="Better given by the environment: other users of the machine see a command's arguments.",
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

_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True, slots=True)
class Connection:
    """Where Kafka is and how to talk to it, as given on the command line."""

    broker: str | None
    security_protocol: str
    sasl_mechanism: str | None
    sasl_username: str | None
    sasl_password: str | None
    ssl_cafile: str | None
    ssl_certfile: str | None
    ssl_keyfile: str | None

    def required(self) -> Connection:
        """Itself; raises `ConfigError` where no broker was named."""
        if not self.broker:
            raise ConfigError("no broker given: use --broker HOST:PORT or set OQM_BROKER")
        return self


def connection_from_options(
    broker: Broker = None,
    security_protocol: Protocol = "PLAINTEXT",
    sasl_mechanism: Mechanism = None,
    sasl_username: Username = None,
    sasl_password: Password = None,
    ssl_cafile: CaFile = None,
    ssl_certfile: CertFile = None,
    ssl_keyfile: KeyFile = None,
) -> Connection:
    """The connection that the options name; raises `ConfigError` for options that do not go together."""
    protocol = security_protocol.upper()
    if protocol not in _PROTOCOLS:
        raise ConfigError(f"--security-protocol {security_protocol}: must be one of {', '.join(_PROTOCOLS)}")
    if sasl_mechanism is not None and sasl_mechanism.upper() not in _MECHANISMS:
        raise ConfigError(f"--sasl-mechanism {sasl_mechanism}: must be one of {', '.join(_MECHANISMS)}")
    if protocol.startswith("SASL") and not (sasl_mechanism and sasl_username and sasl_password):
        raise ConfigError(f"--security-protocol {protocol} needs --sasl-mechanism, --sasl-username and --sasl-password")
    if protocol.endswith("PLAINTEXT") and (ssl_cafile or ssl_certfile or ssl_keyfile):
        raise ConfigError(f"--ssl-... options mean nothing with --security-protocol {protocol}: use SSL or SASL_SSL")
    for option, path in (("cafile", ssl_cafile), ("certfile", ssl_certfile), ("keyfile", ssl_keyfile)):
        if path is not None and not path.is_file():
            raise ConfigError(f"--ssl-{option} {path}: no such file")
    for server in (broker or "").split(","):
        host, _, port = server.strip().rpartition(":")
        if broker and not (host and port.isdigit() and 0 < int(port) < 65536):
            raise ConfigError(f"--broker {broker}: must be HOST:PORT[,HOST:PORT...]")
    return Connection(
        broker=broker,
        security_protocol=protocol,
        sasl_mechanism=sasl_mechanism.upper() if sasl_mechanism else None,
        sasl_username=sasl_username,
        sasl_password=sasl_password,
        ssl_cafile=str(ssl_cafile) if ssl_cafile else None,
        ssl_certfile=str(ssl_certfile) if ssl_certfile else None,
        ssl_keyfile=str(ssl_keyfile) if ssl_keyfile else None,
    )


def with_connection(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes `connection: Connection` the options above in its place."""
    options = inspect.signature(connection_from_options).parameters
    own = inspect.signature(command).parameters

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        chosen = {name: arguments.pop(name) for name in options}
        command(connection=connection_from_options(**chosen), **arguments)

    hints = {
        **get_type_hints(command, include_extras=True),
        **get_type_hints(connection_from_options, include_extras=True),
        "return": None,
    }
    parameters = [own[name] for name in own if name != "connection"] + list(options.values())
    parameters = [p.replace(annotation=hints[p.name], kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {name: hint for name, hint in hints.items() if name != "connection"}
    del run.__wrapped__  # type: ignore[attr-defined]
    return run
