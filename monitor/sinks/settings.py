"""The sinks that `monitor.yaml` may name, told apart by `type`.

A new sink is listed here (its configuration) and in `monitor.sinks.build` (how to make it), and nowhere else.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from monitor.sinks.alertmanager.config import AlertmanagerSinkConfig
from monitor.sinks.email.config import EmailSinkConfig
from monitor.sinks.log.config import LogSinkConfig
from monitor.sinks.pagerduty.config import PagerDutySinkConfig
from monitor.sinks.slack.config import SlackSinkConfig
from monitor.sinks.webhook.config import WebhookSinkConfig

AnySinkConfig: TypeAlias = (
    LogSinkConfig | WebhookSinkConfig | AlertmanagerSinkConfig | SlackSinkConfig | PagerDutySinkConfig | EmailSinkConfig
)
SinkSettings = Annotated[AnySinkConfig, Field(discriminator="type")]
