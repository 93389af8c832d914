"""`oqm reference`: what is normal for a stream, as a decision of a person.

The decision is a control row in `oqm.features` and takes effect at its place in the log, for the worker that owns the
stream as for every later pass over the same log.
"""

from __future__ import annotations

import asyncio
import getpass
import time
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.connection import Connection, with_connection
from monitor.cli.options import ConfigFile
from monitor.cli.output import notes
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.detection.records.control import Control
    from monitor.detection.records.status import StreamStatus
    from monitor.settings import Settings

Stream = Annotated[str, typer.Argument(help="Name of the stream.")]
By = Annotated[
    str | None,
    typer.Option("--by", help="Name to record with the decision; your user name by default.", show_default=False),
]


def group() -> typer.Typer:
    """The command group."""
    app = typer.Typer(help="Decide what is normal for a stream.", no_args_is_help=True, rich_markup_mode="markdown")
    app.command("pin")(pin)
    app.command("accept")(accept)
    app.command("deploy")(deploy)
    return app


@with_connection
def pin(connection: Connection, stream: Stream, by: By = None, config: ConfigFile = None) -> None:
    """Learn a new reference from the stream's next events, and keep it until the next pin.

    It is learned from the stream's `warmup` events and does not grow afterwards. Below 400 events only large changes
    are found: set `warmup: 400` or more for such a stream first.
    """
    _decide(connection, config, "pin", stream, by)


@with_connection
def accept(connection: Connection, stream: Stream, by: By = None, config: ConfigFile = None) -> None:
    """Accept the change that fires as the new normal: the provisional reference becomes the reference."""
    _decide(connection, config, "accept", stream, by)


@with_connection
def deploy(connection: Connection, stream: Stream, by: By = None, config: ConfigFile = None) -> None:
    """Mark a deploy: the behaviour changes on purpose, so a new reference is learned, which matures as usual."""
    _decide(connection, config, "deploy", stream, by)


def _decide(connection: Connection, config: ConfigFile, action: str, stream: str, by: str | None) -> None:
    from monitor.detection.records.control import Control, ControlAction
    from monitor.settings import load_settings

    if not stream.strip():
        raise ConfigError("STREAM: must not be empty")
    settings = connection.over(load_settings(config))
    status = known_stream(settings, stream)
    if action == "accept":
        _can_accept(settings, status)
    decide(settings, Control(action=ControlAction(action), stream=stream, time=time.time(), by=by or user_name()))


def decide(settings: Settings, control: Control) -> None:
    """Append a decision to the log, and print that."""
    partition = asyncio.run(append_control(settings, control))
    notes().print(
        f"{control.action.value} of {control.stream} by {control.by}: appended to {settings.topics.features.name}, "
        f"partition {partition}",
        markup=False,
        soft_wrap=True,
    )


def known_stream(settings: Settings, stream: str) -> StreamStatus:
    """The status of this stream as of the last checkpoint; where there is no such stream, a message and exit code 1."""
    from pipelines.state.stream_status import stream_statuses

    statuses = {status.stream: status for status in asyncio.run(stream_statuses(settings))}
    if stream in statuses:
        return statuses[stream]
    near = get_close_matches(stream, statuses, n=3)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif statuses:
        hint = "oqm streams shows those there are"
    else:
        hint = "no stream is watched yet"
    raise refusal(f"no stream is called {stream!r}: {hint}", "A stream is known some 10 s after its first event.")


def _can_accept(settings: Settings, status: StreamStatus) -> None:
    """Exit with 1 where there is nothing to accept: the decision would have no effect, or another than meant."""
    from monitor.detection.records.status import StreamState
    from pipelines.stages.notify.alert_log import read_alerts

    if status.state is StreamState.UNKNOWN:
        raise refusal(
            f"{status.stream} cannot be judged, so there is nothing to accept: {status.reason}",
            f"oqm reference deploy {status.stream} starts it again.",
        )
    # The log of alerts is seconds ahead of the state that detect wrote last.
    if status.firing or any(
        a.fires and a.alert.stream == status.stream for a in asyncio.run(read_alerts(settings, 0.0))
    ):
        return
    raise refusal(
        f"nothing fires in {status.stream}, so there is nothing to accept",
        f"If its behaviour changes on purpose from now on: oqm reference deploy {status.stream}",
    )


def refusal(*lines: str) -> typer.Exit:
    """Print on stderr why nothing is done; raise what is returned to end the command with exit code 1."""
    for line in lines:
        notes().print(line, markup=False, soft_wrap=True)
    return typer.Exit(1)


async def append_control(settings: Settings, control: Control) -> int:
    """Append a control row to its stream's detect partition, confirmed by the broker; returns that partition.

    Raises `BrokerError` where Kafka cannot be reached or the topics are missing.
    """
    from monitor.detection.records.log_format import encode_control, partition_for
    from pipelines.kafka.producer import LogProducer, Outgoing
    from pipelines.kafka.topics import read_topics

    topics = await asyncio.to_thread(read_topics, settings.broker, settings.topics)
    partition = partition_for(control.stream, topics.features.partitions)
    producer = LogProducer(settings.broker)
    await producer.start()
    try:
        await producer.send([Outgoing(topics.features.name, partition=partition, value=encode_control(control))])
    finally:
        await producer.stop()
    return partition


def user_name() -> str:
    """The name of the user who runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user in a container, no variable that says
        return "unknown"
