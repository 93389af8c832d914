"""How to reach Kafka: addresses, security, certificates, credentials."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    Field,
    model_validator,
)

from monitor.config_values.checked_text import matching
from monitor.config_values.plain_errors import MisplacedError
from monitor.config_values.secret_files import SecretText, secrets_from_files
from monitor.settings.part import Part

TokenProvider = Annotated[
    str, matching(r"[A-Za-z_][\w]*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", "package.module:function, such as our.auth:token")
]


class Sasl(Part):
    """How the client proves who it is."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        "SCRAM-SHA-512", description="SASL mechanism"
    )
    username: str | None = Field(None, description="user name")
    password: SecretText | None = Field(
        None, description="password; better ${NAME}, read from the environment, than in this file"
    )
    password_file: str | None = Field(None, description="file that holds the password, instead")
    token_provider: TokenProvider | None = Field(
        None, description="for OAUTHBEARER: a Python function, package.module:function, that returns a valid token"
    )

    _secrets = secrets_from_files("password")


class Ssl(Part):
    """Certificates, as PEM files."""

    ca_file: str | None = Field(None, description="PEM file of the authorities to trust; null: the system's")
    cert_file: str | None = Field(None, description="PEM file of the client's certificate, for mutual TLS")
    key_file: str | None = Field(None, description="PEM file of the certificate's key")
    key_password: SecretText | None = Field(None, description="password of that key")
    key_password_file: str | None = Field(None, description="file that holds that password, instead")
    check_hostname: bool = Field(True, description="whether the broker's certificate must name its host")

    _secrets = secrets_from_files("key_password")


class Broker(Part):
    """How to reach Kafka."""

    bootstrap: str = Field(
        "127.0.0.1:9092", min_length=1, description="host:port[,host:port...]; --broker takes precedence"
    )
    security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="the listener's security protocol"
    )
    sasl: Sasl = Field(default_factory=Sasl)
    ssl: Ssl = Field(default_factory=Ssl)

    @model_validator(mode="after")
    def _complete(self) -> Broker:
        for address in self.bootstrap.split(","):
            host, _, port = address.strip().rpartition(":")
            if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65_536:
                raise MisplacedError("bootstrap must be host:port, or several with commas between", "bootstrap")
        oauth = self.sasl.mechanism == "OAUTHBEARER"
        if self.sasl.token_provider and not oauth:
            raise MisplacedError(f"is of mechanism OAUTHBEARER, not {self.sasl.mechanism}", "sasl", "token_provider")
        if self.security.startswith("SASL"):
            if oauth and not self.sasl.token_provider:
                raise MisplacedError("mechanism OAUTHBEARER needs sasl.token_provider", "sasl", "mechanism")
            if not oauth and not (self.sasl.username and self.sasl.password):
                raise MisplacedError(
                    f"security {self.security} needs sasl.username and sasl.password (or password_file)", "security"
                )
        if self.ssl.key_file and not self.ssl.cert_file:
            raise MisplacedError("ssl.key_file needs ssl.cert_file", "ssl", "key_file")
        return self
