"""Numbers, shares and times as people read them at night.

Pure. May import `monitor.features` and below.
"""

from __future__ import annotations

import math

from monitor.alerting.rendering.terminal_text import plain
from monitor.features.base import FeatureSpec, Kind


def amount(value: float, unit: str = "") -> str:
    """Three significant digits, thousands separated: 1180.4 -> `1,180`, 0.01234 -> `0.0123`; the unit behind it."""
    if not math.isfinite(value):
        return "none"
    size = abs(value)
    if size >= 100 or value == int(value):
        text = f"{value:,.0f}"
    elif size >= 0.001:
        digits = 2 - math.floor(math.log10(size))
        text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    else:
        text = f"{value:.2g}"
    return f"{text} {unit}".rstrip()


def share(value: float) -> str:
    """A rate in per cent, with a decimal below ten: 0.021 -> `2.1 %`, 0.142 -> `14 %`."""
    percent = 100 * value
    if not math.isfinite(percent):
        return "none"
    return f"{percent:.0f} %" if abs(percent) >= 10 or percent == 0 else f"{percent:.2g} %"


def reading(value: float | str | None, spec: FeatureSpec | None) -> str:
    """One side of a change: a rate for flags, the value's text for categories, else the number."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return plain(value)
    if spec is not None and spec.kind in (Kind.FLAG, Kind.CATEGORY):
        return share(value)
    return amount(value)


def sides(before: float | str | None, after: float | str | None, spec: FeatureSpec | None) -> tuple[str, str]:
    """Both sides of a change as text. A count with a fraction is the rate of events that have any."""
    if _is_rate_of_any(before, after, spec):
        return _any(before), _any(after)
    return reading(before, spec), reading(after, spec)


def _any(side: float | str | None) -> str:
    return f"any in {share(side)}" if isinstance(side, float | int) else "none"


def _is_rate_of_any(before: float | str | None, after: float | str | None, spec: FeatureSpec | None) -> bool:
    fractions = any(isinstance(side, float) and side != round(side) for side in (before, after) if side == side)
    return spec is not None and spec.kind is Kind.COUNT and fractions


def difference(before: float | str | None, after: float | str | None, spec: FeatureSpec | None) -> str:
    """The difference of the sides: points for rates, per cent or a factor for amounts, nothing for words."""
    if not isinstance(before, float | int) or not isinstance(after, float | int):
        return ""
    step = after - before
    if not math.isfinite(step):
        return ""
    if spec is not None and (spec.kind in (Kind.FLAG, Kind.CATEGORY) or _is_rate_of_any(before, after, spec)):
        return f"{100 * step:+.2g} points" if abs(step) < 0.1 else f"{100 * step:+.0f} points"
    # A ratio says nothing about scales that pass through zero or have no unit, such as sentiment from -1 to 1.
    if before <= 0 or after < 0 or (spec is not None and spec.kind is Kind.NUMBER and not spec.unit):
        return ("+" if step >= 0 else "") + amount(step)
    ratio = after / before
    if ratio >= 2:
        return f"{ratio:,.1f}x" if ratio < 10 else f"{ratio:,.0f}x"
    return f"{100 * (ratio - 1):+.0f} %"
