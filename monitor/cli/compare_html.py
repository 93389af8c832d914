"""The page that `oqm compare --html` writes: one file, no script, nothing loaded from elsewhere.

Texts of outputs are shown as text only: everything is escaped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monitor.events.excerpt_parts import head_of
from monitor.features.base import Kind

if TYPE_CHECKING:
    from monitor.cli.compare import Side
    from monitor.detection.diagnosis.sample_comparison import Difference, SampleComparison

_BARS = 24
"""Bars of a histogram: enough to see two humps, few enough to read on a phone."""
_MAX_EXAMPLES = 5
"""Examples per feature: a page stays readable with all features."""
_MAX_BARS_PER_CATEGORY = 8
"""The values whose share changed most; further bars are thinner than a line."""

_STYLE = """
:root { color-scheme: light dark; --old: #6b7fa8; --new: #d2691e; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 64rem; padding: 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .5rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; } td.n { min-width: 3.5rem; }
td.name { overflow-wrap: break-word; min-width: 9rem; }
.changed { color: #c0392b; font-weight: 600; } .small { color: #b7791f; } .open, .note { opacity: .75; }
.old { color: var(--old); } .new { color: var(--new); }
svg { width: 100%; height: auto; max-width: 40rem; } svg .a { fill: var(--old); } svg .b { fill: var(--new); }
svg text { font-size: 11px; fill: currentColor; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem; margin: .5rem 0; }
.pair > * { background: var(--soft); padding: .5rem .7rem; border-radius: .4rem; overflow-wrap: anywhere; }
.pair .ask { grid-column: 1 / -1; background: none; padding: 0; opacity: .8; }
@media (max-width: 40rem) { .pair { grid-template-columns: 1fr; } .wide { display: none; } }
"""


def page(found: SampleComparison, old: Side, new: Side) -> str:
    """The whole page."""
    from monitor.cli.compare import verdict
    from monitor.detection.diagnosis.sample_comparison import Outcome

    changed = [*found.of(Outcome.CHANGED), *found.of(Outcome.SMALL)]
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>{escape(old.name)} and {escape(new.name)}</title><style>{_STYLE}</style></head><body>",
        f"<h1><span class='old'>{escape(old.name)}</span> and <span class='new'>{escape(new.name)}</span></h1>",
        f"<p>{escape(verdict(found))}.</p>",
    ]
    if changed:
        parts += ["<h2>What changed</h2>", _table(changed)]
        parts += [_section(one, found, old, new) for one in found.of(Outcome.CHANGED)]
    parts += [_examples(found, old, new), "<h2>All features</h2>", _table(found.differences), _FOOT, "</body></html>"]
    return "\n".join(parts)


_FOOT = (
    "<p class='note'>Changed: chance does not explain it after a correction for the number of features (Holm), and it "
    "is at least the effect floor. Same: the 95 % interval lies within the floor. Open: too few outputs to say. "
    "Examples are the first characters, with secrets and personal data masked.</p>"
)


def _table(rows: Sequence[Difference]) -> str:
    from monitor.cli.compare import name_of, sides_of

    lines = [
        "<table><thead><tr><th>feature</th><th class='n'>before</th><th class='n'>after</th>"
        "<th class='n'>difference, 95 %</th><th class='n wide'>x floor</th><th class='wide'>meaning</th></tr></thead>"
        "<tbody>"
    ]
    for one in rows:
        before, after, interval = map(escape, sides_of(one))
        lines.append(
            f"<tr><td class='name {one.outcome.value}'>{_breakable(name_of(one))}<br><small class='note'>"
            f"{one.outcome.value}</small></td><td class='n'>{before}</td><td class='n'>{after}</td>"
            f"<td class='n'>{interval}</td><td class='n wide'>{abs(one.effect):.1f}</td>"
            f"<td class='wide'>{escape(one.spec.meaning)}</td></tr>"
        )
    return "\n".join([*lines, "</tbody></table>"])


def _breakable(name: str) -> str:
    """A feature's name that a narrow column breaks between its parts only."""
    return escape(name).replace(".", ".<wbr>").replace("_", "_<wbr>")


def _section(one: Difference, found: SampleComparison, old: Side, new: Side) -> str:
    from monitor.cli.compare import name_of

    drawn = _chart(one, found, old, new)
    if not drawn:
        return ""
    names = f"<span class='old'>■ {escape(old.name)}</span> <span class='new'>■ {escape(new.name)}</span>"
    legend = f"<p class='note'>{names}</p>"
    return f"<h2>{escape(name_of(one))}</h2><p class='note'>{escape(one.spec.meaning)}</p>{drawn}{legend}"


def _chart(one: Difference, found: SampleComparison, old: Side, new: Side) -> str:
    """Both distributions side by side: bars of shares."""
    name = one.spec.name
    if one.spec.kind is Kind.CATEGORY:
        columns = [side.batch.categories.get(name) for side in (old, new)]
        if columns[0] is None or columns[1] is None:
            return ""
        there = [[str(value) for value in column if value is not None] for column in columns if column is not None]
        counted = [Counter(column) for column in there]
        values = [value for value, _ in (counted[0] + counted[1]).most_common(_MAX_BARS_PER_CATEGORY)]
        shares = [[side[value] / max(1, side.total()) for value in values] for side in counted]
        return _bars(values, shares)
    if name not in old.batch.names or name not in new.batch.names:
        return ""
    numbers = [_finite(side.batch.values[:, side.batch.names.index(name)]) for side in (old, new)]
    if not all(len(side) for side in numbers):
        return ""
    if one.spec.kind is Kind.FLAG or one.statistic == "missing":
        return _bars(["true"], [[float(side.mean())] for side in numbers])
    low, high = (float(np.quantile(np.concatenate(numbers), q)) for q in (0.01, 0.99))
    if low == high:
        return ""
    edges = np.linspace(low, high, _BARS + 1)
    shares = [(np.histogram(side.clip(low, high), edges)[0] / len(side)).tolist() for side in numbers]
    return _histogram(shares, low, high, one.spec.unit)


def _finite(column: NDArray[np.float32]) -> NDArray[np.float64]:
    return column[np.isfinite(column)].astype(np.float64)


def _histogram(shares: list[list[float]], low: float, high: float, unit: str) -> str:
    from monitor.alerting.rendering.number_format import amount

    width, height = 480, 120
    most = max(max(side) for side in shares) or 1.0
    step = width / _BARS
    parts = [f"<svg viewBox='0 0 {width} {height + 18}' role='img' aria-label='two histograms'>"]
    for k, (css, side) in enumerate(zip("ab", shares, strict=True)):
        for bar, share in enumerate(side):
            tall = height * share / most
            x = bar * step + k * step / 2
            parts.append(
                f"<rect class='{css}' x='{x:.1f}' y='{height - tall:.1f}' "
                f"width='{step / 2 - 0.5:.1f}' height='{tall:.1f}'/>"
            )
    parts.append(f"<text x='0' y='{height + 14}'>{escape(amount(low, unit))}</text>")
    parts.append(f"<text x='{width}' y='{height + 14}' text-anchor='end'>{escape(amount(high, unit))}</text></svg>")
    return "".join(parts)


def _bars(labels: list[str], shares: list[list[float]]) -> str:
    from monitor.alerting.rendering.number_format import share as in_words

    width, row = 480, 34
    parts = [f"<svg viewBox='0 0 {width} {row * len(labels) + 4}' role='img' aria-label='shares before and after'>"]
    for k, label in enumerate(labels):
        parts.append(f"<text x='0' y='{k * row + 18}'>{escape(label[:24])}</text>")
        for j, (css, side) in enumerate(zip("ab", shares, strict=True)):
            y = k * row + 3 + j * 14
            parts.append(f"<rect class='{css}' x='170' y='{y}' width='{max(1.0, 240 * side[k]):.1f}' height='12'/>")
            parts.append(f"<text x='{176 + 240 * side[k]:.1f}' y='{y + 10}'>{escape(in_words(side[k]))}</text>")
    return "".join([*parts, "</svg>"])


def _examples(found: SampleComparison, old: Side, new: Side) -> str:
    """Outputs of both sides: of the same question where there are pairs, else the first ones."""
    if found.pairs is not None:
        first = found.differences[0].spec.name if found.differences else ""
        chosen = sorted(found.pairs, key=lambda pair: -_moved(first, pair, old, new))[:_MAX_EXAMPLES]
        head = "Outputs to the same input, those that differ most first"
    else:
        count = min(_MAX_EXAMPLES, len(old.batch), len(new.batch))
        chosen = [(k, k) for k in range(count)]
        head = "Outputs of both files"
    rows = [
        f"<div class='pair'><div class='ask'>{escape(old.batch.input_excerpts[a])}</div>"
        f"<div><b class='old'>{escape(old.batch.ids[a])}</b><br>{escape(head_of(old.batch.output_excerpts[a]))}</div>"
        f"<div><b class='new'>{escape(new.batch.ids[b])}</b><br>{escape(head_of(new.batch.output_excerpts[b]))}</div>"
        "</div>"
        for a, b in chosen
    ]
    return "\n".join([f"<h2>{head}</h2>", *rows])


def _moved(name: str, pair: tuple[int, int], old: Side, new: Side) -> float:
    """How far a pair moved in a feature."""
    if name in old.batch.names and name in new.batch.names:
        before = float(old.batch.values[pair[0], old.batch.names.index(name)])
        after = float(new.batch.values[pair[1], new.batch.names.index(name)])
        return abs(after - before) if np.isfinite(before) and np.isfinite(after) else 0.0
    sides = old.batch.categories.get(name), new.batch.categories.get(name)
    if sides[0] is None or sides[1] is None:
        return 0.0
    return float(sides[0][pair[0]] != sides[1][pair[1]])
