"""`oqm schema`: the published records as JSON Schema."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from monitor.cli.output import print_json


class Record(StrEnum):
    """The records that others build on."""

    EVENT = "event"
    FINDING = "finding"
    ALERT = "alert"
    ACTION = "action"
    REVIEW = "review"


def command(
    record: Annotated[Record, typer.Argument(help="Which record.")] = Record.EVENT,
) -> None:
    """Print the JSON Schema of a record: what applications publish, what a replay prints, what `oqm.alerts`,
    `oqm.actions` and `oqm.reviews` hold."""
    import msgspec

    from monitor.actions.message import ActionChanged
    from monitor.actions.review import ReviewMessage
    from monitor.alerting.alert import Alert
    from monitor.detection.records.finding import Finding
    from monitor.events import OutputEvent, json_schema

    types: dict[Record, type] = {
        Record.EVENT: OutputEvent,
        Record.FINDING: Finding,
        Record.ALERT: Alert,
        Record.ACTION: ActionChanged,
        Record.REVIEW: ReviewMessage,
    }
    schema = msgspec.json.encode(json_schema(types[record]))
    print_json(msgspec.Raw(msgspec.json.format(schema, indent=2)))
