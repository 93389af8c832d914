"""Plots of a finding, by matplotlib (the extra `notebook`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.detection.records.finding import Finding
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from monitor.notebook.replaying import History

MAX_FEATURES = 3  # distributions beside each other; more are not read at the width of a notebook
BINS = 30  # of a histogram: fine enough for two peaks, and not one bar for each of 200 rows
MAX_ROWS_AFTER = 2_000  # rows after the change whose distribution is shown: of later ones the change may be over


def plot_finding(firing: Sequence[Finding], number: int, history: History) -> Figure:
    """Evidence over the stream's events, and under it the first features of the finding before and after."""
    if not firing:
        raise ConfigError("nothing fired, so there is nothing to plot")
    if not -len(firing) <= number < len(firing):
        raise ConfigError(f"there are {len(firing)} firing findings, numbered from 0")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("plots need the extra: pip install 'output-quality-monitor[notebook]'") from None
    finding = firing[number]
    began = getattr(finding.began_at, "index", None)
    began = finding.raised_at.index if began is None else began
    shown = [one for one in finding.features if history.values(finding.stream, one.name).size][:MAX_FEATURES]
    figure = Figure(figsize=(10, 6 if shown else 3), layout="constrained")
    figure.suptitle(finding.title, fontsize=11, wrap=True)
    grid = figure.add_gridspec(2 if shown else 1, max(1, len(shown)))
    _evidence(figure.add_subplot(grid[0, :]), finding, began, history)
    for place, feature in enumerate(shown):
        values = history.values(finding.stream, feature.name)
        _distributions(figure.add_subplot(grid[1, place]), feature.name, values, began)
    return figure


def _evidence(axes: Any, finding: Finding, began: int, history: History) -> None:
    points = np.array(history.evidence[finding.stream]).reshape(-1, 3)
    axes.plot(points[:, 0], points[:, 1], label="evidence (log10)")
    axes.plot(points[:, 0], points[:, 2], linestyle="--", color="tab:red", label="threshold")
    axes.axvline(began, color="tab:orange", label=f"change began, event {began:,}")
    axes.axvline(
        finding.raised_at.index, color="black", linewidth=0.8, label=f"raised, event {finding.raised_at.index:,}"
    )
    axes.set_xlabel(f"events of {finding.stream}")
    axes.legend(fontsize=8)


def _distributions(axes: Any, name: str, values: np.ndarray[Any, np.dtype[np.float32]], began: int) -> None:
    before, after = values[:began], values[began : began + MAX_ROWS_AFTER]
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    axes.set_title(name, fontsize=9)
    both = np.concatenate([before, after])
    if not both.size:
        return
    edges = np.histogram_bin_edges(both, BINS)
    for part, label, colour in ((before, "before", "tab:blue"), (after, "after", "tab:orange")):
        if part.size:
            weights = np.full(len(part), 1 / len(part))
            axes.hist(part, edges, weights=weights, alpha=0.6, color=colour, label=f"{label} (n={len(part):,})")
    axes.set_ylabel("share of events")
    axes.legend(fontsize=8)
