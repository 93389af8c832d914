"""The table of sinks: for each type of `sinks` in `monitor.yaml` its configuration and the class that sends.

A new sink is a folder and one line in `SINKS`; `config/monitor.yaml`, `docs/reference/sinks.md` and the tests that
every sink must pass are made from this table. The settings import it, so it loads the configurations only: the class
that sends (and its HTTP or SMTP client) is imported when a worker makes a sink.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, NamedTuple, TextIO, TypeAlias, Union, get_args

from pydantic import Field

from monitor.sinks.alertmanager.config import AlertmanagerSinkConfig
from monitor.sinks.config import SinkConfig
from monitor.sinks.email.config import EmailSinkConfig
from monitor.sinks.log.config import LogSinkConfig
from monitor.sinks.pagerduty.config import PagerDutySinkConfig
from monitor.sinks.slack.config import SlackSinkConfig
from monitor.sinks.webhook.config import WebhookSinkConfig

if TYPE_CHECKING:
    from monitor.sinks.base import Resources, Sink


class SinkType(NamedTuple):
    """One line of the table: the configuration, and the class in the folder's `sink.py` that is made from it."""

    config: type[SinkConfig]
    class_name: str

    @property
    def name(self) -> str:
        """What `type` is in `monitor.yaml`."""
        (name,) = get_args(self.config.model_fields["type"].annotation)
        return str(name)

    @property
    def sink(self) -> Callable[[SinkConfig, Resources], Sink]:
        """The class that sends; importing it loads its client."""
        module = importlib.import_module(f"{self.config.__module__.rpartition('.')[0]}.sink")
        made: Callable[[SinkConfig, Resources], Sink] = getattr(module, self.class_name)
        return made


SINKS = (
    SinkType(LogSinkConfig, "LogSink"),
    SinkType(WebhookSinkConfig, "WebhookSink"),
    SinkType(AlertmanagerSinkConfig, "AlertmanagerSink"),
    SinkType(SlackSinkConfig, "SlackSink"),
    SinkType(PagerDutySinkConfig, "PagerDutySink"),
    SinkType(EmailSinkConfig, "EmailSink"),
)
"""Every sink, in the order in which the documentation shows them."""

if TYPE_CHECKING:
    AnySinkConfig: TypeAlias = SinkConfig
else:
    AnySinkConfig = Union[tuple(kind.config for kind in SINKS)]  # noqa: UP007, made from the table
SinkSettings = Annotated[AnySinkConfig, Field(discriminator="type")]
"""The type of an entry of `sinks`: which configuration it is depends on its `type`."""


def build_sinks(
    configs: Iterable[SinkConfig], *, clock: Callable[[], float] | None = None, stream: TextIO | None = None
) -> list[Sink]:
    """One sink per configuration, in their order. Opens no connection.

    `clock` gives seconds since 1970; `stream` is where sinks that write text write it, standard output where None.
    """
    from monitor.sinks.base import Resources

    given = Resources(stream=stream) if clock is None else Resources(clock, stream)
    kinds = {kind.config: kind for kind in SINKS}
    return [kinds[type(config)].sink(config, given) for config in configs]
