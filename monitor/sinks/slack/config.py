"""Configuration of the Slack sink."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, HttpUrl, Secret

from monitor.config_values.durations import Duration
from monitor.config_values.secret_files import secrets_from_files
from monitor.sinks.config import PeopleSinkConfig, SinkName


class SlackSinkConfig(PeopleSinkConfig):
    """Posts each transition as a message of blocks to the channel of an incoming webhook."""

    type: Literal["slack"]
    name: SinkName = Field("slack", description="unique; stands in metrics and in the outbox, so keep it")
    url: Secret[HttpUrl] = Field(description="the incoming webhook: who knows it can post, so better ${NAME} than here")
    url_file: str | None = Field(None, description="or a file that holds it")
    timeout: Duration = Field(10.0, gt=0, le=300, validate_default=True, description="for the whole exchange")

    _secrets = secrets_from_files("url")
