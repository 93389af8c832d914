"""`oqm alert`: what fires, who has it, and what a person says of it; and a sample to try a sink with."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.options import ConfigFile
from monitor.cli.output import notes
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.detection.finding import State
    from monitor.settings import Settings
    from monitor.sinks.base import Sink


def group() -> typer.Typer:
    """The command group."""
    app = typer.Typer(
        help="See alerts, take them, put them off, refute them.", no_args_is_help=True, rich_markup_mode=None
    )
    app.command("test")(send_sample)
    return app


def send_sample(
    sink: Annotated[
        str, typer.Option("--sink", metavar="NAME", help="Name of a sink in the settings.", show_default=False)
    ],
    keep_firing: Annotated[
        bool, typer.Option("--keep-firing", help="Do not send the resolution that otherwise follows at once.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Send a sample alert to one sink, and its resolution.

    The sample is marked as a test, in a stream of its own (oqm-test), and each run has a new id. No Kafka is needed.
    """
    from monitor.detection.finding import State
    from monitor.settings import load_settings

    settings = load_settings(config)
    states = [State.FIRING] if keep_firing else [State.FIRING, State.RESOLVED]
    chosen = _sink(settings, sink)
    identity = asyncio.run(_send_samples(settings, chosen, states, time.time()))
    told = "firing" if keep_firing else "firing and resolved"
    notes().print(f"delivered to {sink}: {told}, alert {identity}", markup=False, soft_wrap=True)


def _sink(settings: Settings, name: str) -> Sink:
    from monitor.sinks.build import build_sinks

    configs = [config for config in settings.sinks if config.name == name]
    if not configs:
        known = ", ".join(config.name for config in settings.sinks)
        raise ConfigError(f"--sink {name}: no such sink in the settings, there are: {known}")
    return build_sinks(configs)[0]


async def _send_samples(settings: Settings, sink: Sink, states: list[State], now: float) -> str:
    from monitor.alerting.sample import drill_alert

    alerts = [drill_alert(state, time=now, links=settings.links) for state in states]
    try:
        for alert in alerts:
            await sink.send(alert)
    finally:
        await sink.close()
    return alerts[0].fingerprint
