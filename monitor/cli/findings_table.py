"""Findings as a table for people: one row a transition, the features that moved beneath what was found."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from monitor.detection.records.finding import FeatureChange, Finding, State, ended_by, lasted

_MAX_FEATURES = 4
"""Changed features per finding: the table shows many findings on a screen."""
_STYLES = {State.FIRING: "bold red", State.RESOLVED: "green", State.INFO: "dim"}


def findings_table(findings: Sequence[Finding]) -> RenderableType:
    """The findings in the order they came; one that was measured again is one row, with its last title beneath."""
    latest = {finding.id: finding for finding in findings if finding.is_update}
    table = Table("state", "stream", "at event", "began at", "what changed", show_lines=True, expand=True)
    table.columns[1].overflow = "fold"
    table.columns[4].overflow = "fold"
    table.columns[4].ratio = 1
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
            Text(finding.state.value, style=_STYLES.get(finding.state, "")),
            Text(finding.stream),
            f"{finding.raised_at.index:,}",
            f"{began.index:,}\n{began.low:,}-{began.high:,}",
            what,
        )
    return table


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
