"""`oqm topics`: create what is missing, and say what is there."""

from __future__ import annotations

from monitor.cli.connection import Connection, with_connection
from monitor.cli.options import AsJson, ConfigFile
from monitor.cli.output import print_json, tables


@with_connection
def command(connection: Connection, config: ConfigFile = None, json: AsJson = False) -> None:
    """Create the monitor's topics with the right partitions and retention. Existing topics are not changed."""
    from monitor.cli.fitted_table import FittedTable
    from monitor.settings import load_settings
    from pipelines.kafka.topics import ensure_topics, read_topics

    settings = connection.over(load_settings(config))
    created = set(ensure_topics(settings.broker, settings.topics))
    facts = read_topics(settings.broker, settings.topics)
    table = FittedTable("topic", "partitions", "holds", "", prose=("holds",), title=settings.broker.bootstrap)
    for field, meaning in _MEANINGS.items():
        fact = getattr(facts, field)
        if json:
            print_json({"topic": fact.name, "partitions": fact.partitions, "created": fact.name in created})
        table.add_row(fact.name, str(fact.partitions), meaning, "created" if fact.name in created else "")
    if not json:
        tables().print(table)


_MEANINGS = {
    "outputs": "model outputs, as applications publish them",
    "features": "feature rows and control rows: the order of record",
    "alerts": "transitions of alerts",
    "deadletter": "messages that could not be read, and why",
    "state": "checkpoints of what was concluded so far",
    "outbox": "what was delivered to whom",
}
