"""Configuration of the e-mail sink."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from monitor.config_values.checked_text import matching
from monitor.config_values.durations import Duration
from monitor.config_values.secret_files import SecretText, secrets_from_files
from monitor.sinks.config import PeopleSinkConfig, SinkName

Address = Annotated[
    str,
    matching(
        r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}", "an address such as oncall@example.org alone"
    ),
]
Security = Literal["starttls", "tls", "none"]
PORTS: dict[Security, int] = {"starttls": 587, "tls": 465, "none": 25}
"""Of submission, of submission over TLS (RFC 8314), and of a relay."""


class EmailSinkConfig(PeopleSinkConfig):
    """Mails each transition, as plain text and HTML, through an SMTP server."""

    EXAMPLE: ClassVar[str] = """\
host: smtp.example.org
security: starttls              # tls, or none for a local relay
username: oqm
password: ${OQM_SMTP_PASSWORD}
sender: oqm@example.org
recipients: [oncall@example.org]
"""

    type: Literal["email"]
    name: SinkName = Field("email", description="unique; used in metrics and in the outbox: do not rename it")
    host: str = Field(min_length=1, description="SMTP server")
    port: int | None = Field(None, ge=1, le=65_535, description="null: 587 (starttls), 465 (tls) or 25 (none)")
    security: Security = Field("starttls", description="starttls, tls (from the first byte), or none (a local relay)")
    ca_file: str | None = Field(None, description="PEM file of the authorities to trust; null: the system's")
    username: str | None = Field(None, description="to log in with")
    password: SecretText | None = Field(None, description="to log in with, better ${NAME} than in the file")
    password_file: str | None = Field(None, description="file that holds the password, instead")
    sender: Address = Field(description="address that mails come from, such as oqm@example.org")
    recipients: tuple[Address, ...] = Field(min_length=1, max_length=50, description="addresses that they go to")
    timeout: Duration = Field(30.0, gt=0, le=300, validate_default=True, description="limit for the whole exchange")

    _secrets = secrets_from_files("password")

    @model_validator(mode="after")
    def _consistent(self) -> EmailSinkConfig:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password come together")
        if self.password is not None and self.security == "none":
            raise ValueError("security none would send the password readable by anybody; use starttls or tls")
        return self
