"""Findings as a table for people: one row a transition, the features that moved beneath what was found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec
from rich.text import Text

from monitor.cli.fitted_table import FittedTable
from monitor.detection.records.finding import FeatureChange, Finding, State, ended_by, lasted
from monitor.sinks.log.terminal_block import AlertBlock, style_of

if TYPE_CHECKING:
    from monitor.features.base import FeatureSpec
    from monitor.settings import Settings

_MAX_FEATURES = 4
"""Changed features per finding: the table shows many findings on a screen."""


def findings_table(findings: Sequence[Finding]) -> FittedTable:
    """The findings in the order they came; one that was measured again is one row, with its last title beneath."""
    latest = {finding.id: finding for finding in findings if finding.is_update}
    table = FittedTable("state", "stream", "at event", "began at", "what changed", prose=("what changed",), lines=True)
    for finding in findings:
        if finding.is_update:
            continue
        what = Text.assemble((finding.title.removeprefix(f"{finding.stream}: "), "bold"))
        what.append(f"  ({finding.kind.value}, {finding.severity.value})", style="dim")
        if finding.resolution is not None:
            long = lasted(finding.resolution)
            what.append(f"\n  {ended_by(finding.resolution)}" + (f"; it lasted {long}" if long else ""), style="green")
        again = latest.get(finding.id)
        if again is not None and finding.state is not State.RESOLVED:
            newest = again.title.removeprefix(f"{again.stream}: ")
            if again.measured_events is not None:
                what.append(f"\n  refined on {again.measured_events:,} events: {newest}")
            if again.judged is not None:
                what.append(f"\n  {again.judged.text}")
            if again.severity is not finding.severity:
                what.append(f"  ({again.severity.value})", style="dim")
        # What is resolved was reported when it fired.
        changes = [] if finding.state is State.RESOLVED else finding.features
        for change in changes[:_MAX_FEATURES]:
            what.append(f"\n  {change_line(change)}", style="cyan")
        if len(changes) > _MAX_FEATURES:
            what.append(f"\n  and {len(changes) - _MAX_FEATURES} more", style="dim")
        began = finding.began_at
        table.add_row(
            Text(finding.state.value, style=style_of(finding.state, finding.severity)),
            finding.stream,
            f"{finding.raised_at.index:,}",
            f"{began.index:,}\n{began.low:,}-{began.high:,}",
            what,
        )
    return table


def full_alerts(findings: Sequence[Finding], settings: Settings, specs: Iterable[FeatureSpec]) -> Iterator[AlertBlock]:
    """Each finding as the whole alert that receivers get; one that was measured again with its newest figures.

    `specs` are the declarations of what is measured: units and meanings.
    """
    from monitor.alerting.alert import transition_key
    from monitor.alerting.from_finding import from_finding

    by_name = {spec.name: spec for spec in specs}
    latest = {finding.id: finding for finding in findings if finding.is_update}
    for finding in findings:
        if finding.is_update:
            continue
        newest = latest.get(finding.id, finding) if finding.state is State.FIRING else finding
        stream = settings.for_stream(finding.stream)
        alert = from_finding(newest, owner=stream.owner, route=stream.route, links=settings.links, specs=by_name)
        # Nothing was shown before that this would update: it is the alert, with its newest figures.
        yield AlertBlock(msgspec.structs.replace(alert, transition=transition_key(alert.fingerprint, alert.state)))


def change_line(change: FeatureChange) -> str:
    """`output.length.chars 224 -> 760 (+5.1 floors)`: the effect is in multiples of the effect floor.

    Shares of events in which a number is not zero, or another than ever before, are said as such.
    """
    if change.statistic and isinstance(change.before, float | int) and isinstance(change.after, float | int):
        of = f" other than {change.value}" if change.value is not None else ""
        sides = f"in {100 * change.before:.3g} % -> {100 * change.after:.3g} % of events"
        return f"{change.name}{of} {sides} ({change.effect:+.1f} floors)"
    return f"{change.name} {_value(change.before)} -> {_value(change.after)} ({change.effect:+.1f} floors)"


def _value(value: float | str | None) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.4g}"
