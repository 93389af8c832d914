"""What candidate settings would have raised, as a table for people: one row a candidate, stream by stream."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from monitor.cli.fitted_table import FittedTable
from monitor.events.times import in_calendar
from pipelines.replay.what_if import FirstAlert, Outcome


def what_if_table(outcomes: Sequence[Outcome]) -> RenderableType:
    """One table a stream, or a line that says there was nothing to watch."""
    if not outcomes:
        return Text("No events.")
    streams = dict.fromkeys(outcome.stream for outcome in outcomes)
    return Group(*(_of_stream([o for o in outcomes if o.stream == stream]) for stream in streams))


def _of_stream(outcomes: Sequence[Outcome]) -> FittedTable:
    first = outcomes[0]
    table = FittedTable(
        "setting", "fired", "info", "first alert", "delay", "top feature", "false alarms expected",
        prose=("setting", "first alert", "false alarms expected"), right=("fired", "info"),
        title=f"{first.stream}, {first.events:,} events",
    )  # fmt: skip
    for outcome in outcomes:
        alert = outcome.first_alert
        table.add_row(
            Text(outcome.candidate),
            Text(str(outcome.fired), style="bold red" if outcome.fired else "green"),
            str(outcome.info),
            "-" if alert is None else _when(alert),
            "-" if alert is None else _delay(alert),
            Text("-" if alert is None else alert.top_feature or "(none alone)"),
            f"{outcome.expected_false_alarms:.2g} (1 in {outcome.mean_run_length:,.0f} events)",
        )
    return table


def _when(alert: FirstAlert) -> str:
    at = f"{alert.kind} at event {alert.index:,}"
    return at if alert.time is None else f"{at}\n{in_calendar(alert.time):%Y-%m-%d %H:%M:%S}"


def _delay(alert: FirstAlert) -> str:
    events = f"{alert.delay_events:,} events"
    return events if alert.delay_s is None else f"{events}\n{alert.delay_s:,.0f} s"
