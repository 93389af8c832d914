"""`oqm publish FILE...`: the events of files, as if an application had published them."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from monitor.cli.connection import Connection, with_connection
from monitor.cli.options import ColumnMap, ConfigFile, Files, Limit, StreamName, column_map, existing
from monitor.cli.output import Rejected, notes, progress, say_understood
from monitor.errors import BrokerError

_PATIENCE_S = 60.0
"""How long a full buffer may stay full before the broker counts as gone."""


@with_connection
def command(
    connection: Connection,
    files: Files,
    stream: StreamName = None,
    map: ColumnMap = None,
    limit: Limit = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.001, metavar="N", help="Events per second; by default as fast as possible.", show_default=False
        ),
    ] = None,
    keep_times: Annotated[
        bool, typer.Option("--keep-times", help="Keep the events' times, at most 24 h old, instead of now.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Publish the events of files to the outputs topic, which must exist (`oqm topics`)."""
    import msgspec

    from monitor.events.files.notes import FileNotes
    from monitor.publisher import OutputPublisher
    from monitor.settings import load_settings
    from pipelines.kafka.connection import client_options
    from pipelines.kafka.topics import LARGEST_EVENT_BYTES, read_topics
    from pipelines.replay.in_order import read_in_order

    settings = connection.over(load_settings(config))
    mapping = column_map(map)
    understood = FileNotes()
    records = read_in_order(existing(files), mapping, stream, limit=limit, notes=understood)
    topic = read_topics(settings.broker, settings.topics).outputs.name
    console = notes()
    rejected = Rejected(console)
    options = client_options(settings.broker)
    servers = options.pop("bootstrap_servers")
    publisher = OutputPublisher(
        servers, topic, kafka=options, block_s=_PATIENCE_S, strict=True, max_message_bytes=LARGEST_EVENT_BYTES
    )
    began = time.monotonic()
    with publisher, progress(console) as bar:
        task = bar.add_task(f"publish to {topic}", total=None, note="")
        for n, event in enumerate(rejected.drop_from(records)):
            if rate is not None:
                time.sleep(max(0.0, began + n / rate - time.monotonic()))
            publisher.publish(event if keep_times else msgspec.structs.replace(event, time=None))
            bar.update(task, completed=n + 1)
        # Confirmed or counted as undelivered: each event is tried for two minutes at most.
        while publisher.pending:
            publisher.flush()
            bar.update(task, completed=publisher.delivered, note="confirmed")
    if publisher.undelivered:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in publisher.undelivered.most_common())
        raise BrokerError(f"{publisher.undelivered.total():,} events were not delivered to {topic}: {reasons}")
    say_understood(understood)
    rejected.summarise()
    console.print(f"{publisher.delivered:,} events published to {topic}", markup=False, soft_wrap=True)
