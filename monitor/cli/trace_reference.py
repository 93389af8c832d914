"""What was usual in the stream, beside the features of an output in `oqm trace`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from monitor.alerting.rendering.moments import moment

if TYPE_CHECKING:
    from rich.console import Console

    from monitor.cli.stored_features import StoredFeatures
    from monitor.cli.trace_findings import Findings
    from monitor.features.base import FeatureSpec
    from monitor.store.base import TraceStore
    from monitor.store.query import StoredOutput

OUTPUTS = 200
"""Of a reference: the ends of the range from 5 to 95 % then rest on ten outputs each, and it takes about a second."""
MOST_OUTPUTS = 2_000
LEAST_VALUES = 20
"""Fewer have no value at their 5 % point: a twentieth of them is less than one."""
RARE = 0.05
"""A flag or value that a smaller share of the reference has is marked, as numbers outside of 5 to 95 % are."""
MOST_CHARS = 2_000_000
"""Of input and output together: some seconds of work. Older outputs are left out where texts are that long."""


class Usual(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One feature in the reference, and whether the output lies outside.

    `values` outputs of the reference have it. A number has its median, the points `low` and `high` below which 5 and
    95 % lie, the `least` and the `most`; a flag the share that is true; a text its most common value and the share that
    has the output's. `mark` says how the output differs: `above`, `below`, `above all`, `below all`, `rare`, `never`,
    `missing`; None where it does not, or where there are too few values to say.
    """

    values: int
    median: float | None = None
    low: float | None = None
    high: float | None = None
    least: float | None = None
    most: float | None = None
    share: float | None = None
    common: str | None = None
    mark: str | None = None


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """The outputs before one, or before the change that it lies in.

    `before` is the end of the time that they are from, `since` the first one's time, in seconds since 1970; `alert` is
    the alert whose begin that end is, None where it is the output itself. `none` says why there is no reference.
    """

    outputs: int
    since: float | None
    before: float
    alert: str | None
    none: str | None
    features: dict[str, Usual]


def reference_for(
    one: StoredOutput,
    features: Mapping[str, Any],
    findings: Findings,
    traces: TraceStore,
    measure: StoredFeatures,
    most: int,
) -> Reference:
    """What was usual in at most `most` outputs of the stream before this one, or before the alert that was open."""
    from monitor.store.query import Search

    changed = findings.changed_since
    before = one.time if changed is None or changed.began_at is None else changed.began_at
    alert = None if changed is None else changed.id
    stored = traces.search(Search(of_stream=one.stream, until=before, limit=most))
    outputs = _bounded(stored)
    none, usual = None, {}
    if len(outputs) < LEAST_VALUES:
        what = "this one" if alert is None else f"alert {alert} began"
        none = f"outputs of the stream from before {what} in the store: {len(stored)}, and {LEAST_VALUES} are needed"
        if len(outputs) < len(stored):
            none = f"outputs before {what} are so long that {len(outputs)} of them have {MOST_CHARS:,} characters"
    else:
        usual = usual_of(features, measure.of(outputs))
    since = outputs[-1].time if outputs else None
    return Reference(outputs=len(outputs), since=since, before=before, alert=alert, none=none, features=usual)


def _bounded(outputs: Sequence[StoredOutput]) -> Sequence[StoredOutput]:
    chars = 0
    for number, one in enumerate(outputs):
        chars += len(one.input or "") + len(one.output or "")
        if chars > MOST_CHARS:
            return outputs[:number]
    return outputs


def usual_of(features: Mapping[str, Any], measured: Sequence[Mapping[str, Any]]) -> dict[str, Usual]:
    """What is usual of each feature that the output or the reference has."""
    names = dict.fromkeys((*features, *(name for each in measured for name in each)))
    found = {}
    for name in names:
        values = [value for each in measured if (value := each.get(name)) is not None]
        value = features.get(name)
        if values or value is not None:
            found[name] = _usual(value, values, len(measured))
    return found


def _usual(value: Any, values: Sequence[Any], outputs: int) -> Usual:
    if len(values) < LEAST_VALUES:
        return Usual(values=len(values), mark="rare" if value is not None and len(values) < RARE * outputs else None)
    missing = "missing" if value is None and len(values) >= (1 - RARE) * outputs else None
    if isinstance(values[0], bool):
        share = sum(values) / len(values)
        return Usual(values=len(values), share=share, mark=missing or _mark_share(value, share if value else 1 - share))
    if isinstance(values[0], str):
        return _usual_text(value, values, missing)
    return _usual_number(value, values, missing)


def _usual_text(value: str | None, values: Sequence[str], missing: str | None) -> Usual:
    counted = Counter(values)
    common, number = counted.most_common(1)[0]
    share = (number if value is None else counted[value]) / len(values)
    # Where rare values are usual, as of the first amount that a text states, a rare one says nothing.
    of_rare = sum(count for count in counted.values() if count < RARE * len(values)) / len(values)
    mark = missing or (_mark_share(value, share) if of_rare <= 2 * RARE else None)
    return Usual(values=len(values), share=share, common=common, mark=mark)


def _mark_share(value: Any, share: float) -> str | None:
    if value is None or share >= RARE:
        return None
    return "rare" if share else "never"


def _usual_number(value: float | None, values: Sequence[float], missing: str | None) -> Usual:
    import numpy as np

    # Values that outputs really have: no fraction of a count.
    least, low, median, high, most = np.quantile(
        values, [0.0, RARE, 0.5, 1 - RARE, 1.0], method="inverted_cdf"
    ).tolist()
    mark = missing
    if value is not None and value > high:
        mark = "above all" if value > most else "above"
    elif value is not None and value < low:
        mark = "below all" if value < least else "below"
    return Usual(values=len(values), median=median, low=low, high=high, least=least, most=most, mark=mark)


def print_features(
    console: Console, features: Mapping[str, Any], reference: Reference | None, specs: Mapping[str, FeatureSpec]
) -> None:
    """The section `features`: a table with the reference, those outside first, or lines without."""
    if reference is None or reference.none:
        console.print("\n[bold]features[/] of the texts as they are kept")
        if reference is not None:
            console.print(f"  no reference: {reference.none}", style="yellow", markup=False, soft_wrap=True)
        for name, value in features.items():
            if value is not None:
                console.print(f"  {name}: {value}", markup=False, soft_wrap=True)
        return
    before = "this one" if reference.alert is None else f"alert {reference.alert} began"
    console.print(
        f"\n[bold]features[/] of the texts as they are kept, beside {reference.outputs:,} outputs of the stream from "
        f"before {before} ({moment(reference.since)} to {moment(reference.before)})",
        soft_wrap=True,
    )
    _print_beside(console, features, reference.features, specs)


_LEGEND = (
    "usual: median (5 to 95 % of the outputs), share that is true, or most common value. "
    "One in ten usual numbers lies outside of 5 to 95 % by itself."
)


def _print_beside(
    console: Console, features: Mapping[str, Any], usual: Mapping[str, Usual], specs: Mapping[str, FeatureSpec]
) -> None:
    """A table, or on a narrow terminal a line for each feature."""
    from rich.text import Text

    from monitor.cli.fitted_table import FittedTable

    table = FittedTable("feature", "this output", "usual", "outside", caption=Text(_LEGEND))
    lines = []
    opaque = {name for name, spec in specs.items() if spec.opaque}  # numbers that tell a person nothing: in --json
    shown = [name for name, one in usual.items() if (features.get(name) is not None or one.mark) and name not in opaque]
    for name in sorted(shown, key=lambda each: _ORDER.index(usual[each].mark)):
        one, value = usual[name], features.get(name)
        style = "" if one.mark is None else "red" if one.mark in _STRONG else "yellow"
        here, beside, mark = _value(value), _beside(one, value, specs.get(name)), one.mark or ""
        table.add_row(name, Text(here, style=style), beside, Text(mark, style=style))
        lines.append(Text(f"  {name}: {here}, usual: {beside}{', ' if mark else ''}{mark}", style=style))
    if table.fits(console.width):
        console.print(table)
        return
    for line in (*lines, Text(_LEGEND)):
        console.print(line, soft_wrap=True)


_STRONG = ("above all", "below all", "never")
"""Marks of what no output of the reference has."""
_ORDER = (*_STRONG, "missing", "rare", "above", "below", None)
"""Of the table's rows, by their marks."""


def _value(value: Any) -> str:
    from monitor.alerting.rendering.number_format import amount
    from monitor.alerting.rendering.terminal_text import plain

    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    return plain(value) if isinstance(value, str) else amount(value)


def _beside(one: Usual, value: Any, spec: FeatureSpec | None) -> str:
    from monitor.alerting.rendering.number_format import amount, share
    from monitor.alerting.rendering.terminal_text import plain

    unit = "" if spec is None else spec.unit
    if one.median is not None and one.low is not None and one.high is not None:
        return f"{amount(one.median)} ({amount(one.low)} to {amount(one.high)}) {unit}".rstrip()
    if one.common is not None and one.share is not None:
        named = "" if value in (None, one.common) else f", this value {share(one.share)}"
        return f"{plain(one.common)}{named}" if named else f"{plain(one.common)} {share(one.share)}"
    if one.share is not None:
        return f"true in {share(one.share)}"
    return f"no reference, {one.values} have it"
