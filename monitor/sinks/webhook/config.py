"""Configuration of the webhook sink."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field, HttpUrl, SecretStr, field_validator

from monitor.config_values.secret_files import secrets_from_files
from monitor.sinks.config import HttpSinkConfig, PeopleSinkConfig, Per, SinkName
from monitor.sinks.webhook.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER
from monitor.sinks.webhook.template import check_template

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = {"content-length", "content-type", "host", "idempotency-key", "transfer-encoding"} | {
    SIGNATURE_HEADER.lower(),
    TIMESTAMP_HEADER.lower(),
}


class WebhookSinkConfig(PeopleSinkConfig, HttpSinkConfig):
    """Posts each transition as JSON, signed with HMAC-SHA256 where a secret is set."""

    EXAMPLE: ClassVar[str] = """\
name: chat
url: https://hooks.example/oqm
secret: ${OQM_WEBHOOK_SECRET}   # signs each post with HMAC-SHA256
headers: {Authorization: "Bearer ${OQM_WEBHOOK_TOKEN}"}   # header_files: {Authorization: PATH}: from a file
template: '{"text": $short}'    # none: the alert as JSON
timeout: 10s
"""

    type: Literal["webhook"]
    name: SinkName = Field("webhook", description="unique; used in metrics and in the outbox: do not rename it")
    per: Per = Field("alert", description="alert: one message per alert; incident: one for one cause in many streams")
    url: HttpUrl = Field(description="where to post")
    url_file: str | None = Field(None, description="file that holds the URL, instead, where the URL is a secret")
    secret: SecretStr | None = Field(
        None, description="key of the signature, better ${NAME} than in the file; null: unsigned"
    )
    secret_file: str | None = Field(None, description="file that holds the key, instead")
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="headers to add, such as Authorization")
    header_files: dict[str, str] = Field(
        default_factory=dict, description="the same from files that hold the value, such as {Authorization: PATH}"
    )
    template: str | None = Field(
        None, description='body in place of the alert as JSON, such as {"text": $title}; see this sink\'s README'
    )

    _secrets = secrets_from_files("url", "secret", mappings=(("headers", "header_files"),))

    @field_validator("secret")
    @classmethod
    def _no_empty_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not secret.get_secret_value():
            raise ValueError("must not be empty: an empty key signs nothing; leave it out for unsigned posts")
        return secret

    @field_validator("headers")
    @classmethod
    def _headers_can_be_sent(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in headers.items():
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"{name!r} is no name of an HTTP header")
            if not all(" " <= c <= "~" for c in value.get_secret_value()):
                raise ValueError(f"the value of {name} must be printable ASCII on one line")
            if name.lower() in _OURS:
                raise ValueError(f"{name} is set by the sink itself")
        return headers

    @field_validator("template")
    @classmethod
    def _template_renders(cls, template: str | None) -> str | None:
        if template is not None:
            check_template(template)
        return template
