"""Configuration of the webhook sink."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, HttpUrl, SecretStr, field_validator

from monitor.duration import Duration
from monitor.sinks.config import SinkConfig, SinkName


class WebhookSinkConfig(SinkConfig):
    """Posts each transition as JSON, signed with HMAC-SHA256 where a secret is set."""

    type: Literal["webhook"]
    name: SinkName = Field("webhook", description="unique; renaming it sends open alerts once more")
    url: HttpUrl = Field(description="where to post")
    secret: SecretStr | None = Field(None, description="key of the signature, better ${NAME} than here; none: unsigned")
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="headers to add, such as Authorization")
    template: str | None = Field(
        None, description='body in place of the alert as JSON, such as {"text": $title}; see this sink\'s README'
    )
    timeout: Duration = Field(10.0, gt=0, le=300, validate_default=True, description="for the whole exchange")

    @field_validator("secret")
    @classmethod
    def _no_empty_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not secret.get_secret_value():
            raise ValueError("must not be empty: an empty key signs nothing; leave it out for unsigned posts")
        return secret
