"""Makes the sinks that the configuration names: the one table of types."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import TextIO, assert_never

from monitor.sinks.alertmanager.config import AlertmanagerSinkConfig
from monitor.sinks.alertmanager.sink import AlertmanagerSink
from monitor.sinks.base import Sink
from monitor.sinks.email.config import EmailSinkConfig
from monitor.sinks.email.sink import EmailSink
from monitor.sinks.log.config import LogSinkConfig
from monitor.sinks.log.sink import LogSink
from monitor.sinks.pagerduty.config import PagerDutySinkConfig
from monitor.sinks.pagerduty.sink import PagerDutySink
from monitor.sinks.settings import AnySinkConfig
from monitor.sinks.slack.config import SlackSinkConfig
from monitor.sinks.slack.sink import SlackSink
from monitor.sinks.webhook.config import WebhookSinkConfig
from monitor.sinks.webhook.sink import WebhookSink


def build_sinks(
    configs: Iterable[AnySinkConfig], *, clock: Callable[[], float] = time.time, stream: TextIO | None = None
) -> list[Sink]:
    """One sink per configuration, in their order. Opens no connection.

    `stream` is where log sinks write, standard output where it is None.
    """
    return [_build(config, clock, stream if stream is not None else sys.stdout) for config in configs]


def _build(config: AnySinkConfig, clock: Callable[[], float], stream: TextIO) -> Sink:
    match config:
        case LogSinkConfig():
            return LogSink(config, stream)
        case WebhookSinkConfig():
            return WebhookSink(config, clock)
        case AlertmanagerSinkConfig():
            return AlertmanagerSink(config, clock)
        case SlackSinkConfig():
            return SlackSink(config)
        case PagerDutySinkConfig():
            return PagerDutySink(config)
        case EmailSinkConfig():
            return EmailSink(config, clock)
        case _:
            assert_never(config)
