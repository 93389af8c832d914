"""Findings as a table for people: one row a transition, the features that moved beneath what was found."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from monitor.detection.finding import FeatureChange, Finding, State

_FEATURES_SHOWN = 4
_STYLES = {State.FIRING: "bold red", State.RESOLVED: "green", State.INFO: "dim"}


def findings_table(findings: Sequence[Finding]) -> RenderableType:
    """The findings in the order they came, or a line that says there are none."""
    if not findings:
        return Text("No findings.", style="green")
    table = Table("state", "stream", "raised at", "began", "what", show_lines=True, expand=True)
    for place, ratio in ((1, 2), (4, 6)):
        table.columns[place].overflow = "fold"
        table.columns[place].ratio = ratio
    for finding in findings:
        what = Text.assemble((finding.title, "bold"), "\n", finding.cause)
        for change in finding.features[:_FEATURES_SHOWN]:
            what.append(f"\n  {change_line(change)}", style="cyan")
        hidden = len(finding.features) - _FEATURES_SHOWN
        if hidden > 0:
            what.append(f"\n  and {hidden} more", style="dim")
        began = finding.began_at
        table.add_row(
            Text(finding.state.value, style=_STYLES.get(finding.state, "")),
            Text(finding.stream),
            f"{finding.raised_at.index:,}",
            f"{began.index:,}\n({began.low:,} to {began.high:,})",
            what,
        )
    return table


def change_line(change: FeatureChange) -> str:
    """`output.length.chars 224 -> 760 (effect 5.1)`, the effect in multiples of the floor."""
    return f"{change.name} {_value(change.before)} -> {_value(change.after)} (effect {change.effect:+.1f})"


def _value(value: float | str | None) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.4g}"
