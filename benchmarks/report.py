"""Tables of a benchmark: printed as they are ready, and kept for a Markdown file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from scipy.stats import chi2


class Report:
    """Collects tables; prints each at once."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._markdown: list[str] = []
        self._bars: list[list[str]] = []

    def table(
        self,
        title: str,
        heads: Sequence[str],
        rows: Sequence[Sequence[object]],
        note: str = "",
        *,
        folded: bool = False,
    ) -> None:
        """One table with its title and a note on how it was made; `folded`: closed at first in Markdown."""
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, caption=note or None, caption_justify="left")
        for number, head in enumerate(heads):
            table.add_column(head, justify="right" if number else "left", overflow="fold", no_wrap=not number)
        cells = [[str(cell) for cell in row] for row in rows]
        for row in cells:
            table.add_row(*row)
        self._console.print(table)
        lines = [f"| {' | '.join(heads)} |", f"|{'|'.join(['---'] + ['---:'] * (len(heads) - 1))}|"]
        lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in cells]
        body = "\n".join(lines)
        head = f"**{title}**" + (f" {note}" if note else "")
        if folded:
            self._markdown.append(f"<details><summary>{title}</summary>\n\n{note}\n\n{body}\n\n</details>")
        else:
            self._markdown.append(f"{head}\n\n{body}")

    def line(self, text: str) -> None:
        """One line of text."""
        self._console.print(text, highlight=False)
        self._markdown.append(text)

    def bar(self, what: str, asked: str, measured: str, met: bool) -> None:
        """A figure that is held against what was asked; `bars` shows them together."""
        self._bars.append([what, asked, measured, "yes" if met else "NO"])

    def bars(self) -> None:
        """All figures held against what was asked."""
        if self._bars:
            self.table("Against the bars", ["what", "asked", "measured", "met"], self._bars)

    def write(self, path: Path) -> None:
        """All so far as Markdown."""
        path.write_text("\n\n".join(self._markdown) + "\n", encoding="utf-8")


def poisson_interval(count: int, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a Poisson mean from one count (Garwood 1936)."""
    tail = (1 - level) / 2
    low = 0.0 if count == 0 else float(chi2.ppf(tail, 2 * count)) / 2
    return low, float(chi2.ppf(1 - tail, 2 * count + 2)) / 2


def per_100k(count: int, events: int) -> str:
    """`0.8 (0.2 to 2.0)`: alarms per 100,000 events with their Poisson interval."""
    if not events:
        return "-"
    low, high = poisson_interval(count)
    scale = 1e5 / events
    return f"{count * scale:.2f} ({low * scale:.2f} to {high * scale:.2f})"


def median(values: Sequence[float]) -> float:
    """Median; NaN of nothing. Missed ones come as infinity."""
    return float(np.median(np.asarray(values, dtype=float))) if values else float("nan")


def figure(value: float) -> str:
    """A delay as a table shows it."""
    if np.isnan(value):
        return "-"
    return "missed" if np.isinf(value) else f"{value:.0f}"
