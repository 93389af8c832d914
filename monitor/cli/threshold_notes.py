"""What `oqm check-config` shows of fixed thresholds: each with its limit, its window, and how many events it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.config_values.thresholds import Threshold
    from monitor.settings import Settings


def threshold_notes(settings: Settings) -> list[str]:
    """A line for each threshold, in the order of the file: those of detection, then those of each override."""
    places = [("detection", settings.detection.thresholds)]
    for index, override in enumerate(settings.streams):
        of_criteria = [each.threshold for each in override.criteria if each.threshold is not None]
        places.append((f"streams[{index}] {override.match}", (*override.thresholds, *of_criteria)))
    return [f"{place}: threshold {_line(threshold)}" for place, thresholds in places for threshold in thresholds]


def _line(threshold: Threshold) -> str:
    """`fast: p95 of call.latency.total_s < 3s over 30m, judged from 40 events on`."""
    what = threshold.feature or "events"
    if threshold.value is not None:
        what += f"={threshold.value}"
    limit = getattr(threshold, threshold.statistic.value)
    few = f"judged from {threshold.needed} event{'s' * (threshold.needed != 1)} on"
    return f"{threshold.name}: {threshold.statistic.value} of {what} {limit} over {threshold.window}, {few}"
