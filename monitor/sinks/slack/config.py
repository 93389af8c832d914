"""Configuration of the Slack sink."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, HttpUrl, Secret

from monitor.config_values.secret_files import secrets_from_files
from monitor.sinks.config import HttpSinkConfig, PeopleSinkConfig, SinkName


class SlackSinkConfig(PeopleSinkConfig, HttpSinkConfig):
    """Posts each transition as a message of blocks to the channel of an incoming webhook."""

    EXAMPLE: ClassVar[str] = """\
url: ${OQM_SLACK_WEBHOOK}       # an incoming webhook: one channel; or url_file: /run/secrets/slack_webhook
timeout: 10s
"""

    type: Literal["slack"]
    name: SinkName = Field("slack", description="unique; used in metrics and in the outbox: do not rename it")
    url: Secret[HttpUrl] = Field(
        description="the incoming webhook; whoever knows it can post, so better ${NAME} than in the file"
    )
    url_file: str | None = Field(None, description="file that holds the URL, instead")

    _secrets = secrets_from_files("url")
