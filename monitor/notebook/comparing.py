"""`compare`: what differs between two sets of outputs, with intervals, as `oqm compare` says it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.alerting.rendering.number_format import amount, share
from monitor.detection.diagnosis.sample_comparison import (
    FEWEST_ROWS,
    Difference,
    Outcome,
    SampleComparison,
    compare_samples,
)
from monitor.errors import ConfigError
from monitor.notebook.html_table import html_table
from monitor.notebook.replaying import as_settings
from monitor.notebook.rows import Data, one_stream, read
from monitor.settings import Settings
from pipelines.build import featurizer_for

if TYPE_CHECKING:
    import pandas

_COLUMNS = ("feature", "outcome", "before", "after", "low", "high", "floors", "meaning")


class Comparison:
    """What differs.

    Attributes
    ----------
    result
        All features, with counts and whether rows were compared in pairs.
    changed
        Those that changed: what chance does not explain, corrected for the number of features, and at least a floor.
    """

    def __init__(self, result: SampleComparison) -> None:
        self.result = result
        self.changed = tuple(result.of(Outcome.CHANGED))

    def to_frame(self, *, every: bool = False) -> pandas.DataFrame:
        """One row a feature that changed; with `every` all of them, with their outcome."""
        import pandas

        shown = self.result.differences if every else self.changed
        return pandas.DataFrame([_row(one) for one in shown], columns=list(_COLUMNS))

    def __repr__(self) -> str:
        lines = [f"{one.spec.name}: {_value(one, one.before)} -> {_value(one, one.after)}" for one in self.changed]
        return "\n".join([*lines, self._line()])

    def _repr_html_(self) -> str:
        return html_table(_COLUMNS, map(_row, self.changed), [self._line()])

    def _line(self) -> str:
        rows = f"{self.result.old_rows:,} old and {self.result.new_rows:,} new outputs"
        if self.result.pairs is not None:
            rows = f"{len(self.result.pairs):,} pairs of outputs to the same inputs"
        unclear = len(self.result.of(Outcome.OPEN))
        changed = f"{len(self.changed)} features changed" if self.changed else "no feature changed for certain"
        return f"{rows}: {changed}" + (f"; {unclear} cannot be decided with this many outputs" if unclear else "")


def compare(
    before: Data,
    after: Data,
    settings: Settings | Mapping[str, Any] | str | Path | None = None,
    *,
    stream: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Comparison:
    """Compare two sets of outputs feature by feature; in pairs where both answer the same inputs.

    `before` and `after` are what `replay` takes, each of one stream. Raises `ConfigError` with what to change, also
    where there are too few outputs to say anything.
    """
    chosen = as_settings(settings)
    featurizer = featurizer_for(chosen)
    sides = []
    for data, name in ((before, "before"), (after, "after")):
        rows = read(data, stream, columns, name)
        one_stream(rows, name)
        if len(rows.events) < FEWEST_ROWS:
            raise ConfigError(
                f"cannot tell: {len(rows.events):,} outputs {name}; {FEWEST_ROWS} are needed on each side"
            )
        sides.append((featurizer.featurize(rows.events, source=name), [event.input for event in rows.events]))
    (first, first_inputs), (second, second_inputs) = sides
    floors = chosen.for_stream(first.streams[0]).detection.floors
    return Comparison(compare_samples(first, second, featurizer.specs, floors, (first_inputs, second_inputs)))


def _value(one: Difference, value: float) -> str:
    return share(value) if one.statistic in ("rate", "share", "missing") else amount(value)


def _row(one: Difference) -> dict[str, Any]:
    name = one.spec.name if one.value is None else f"{one.spec.name}={one.value}"
    return {
        "feature": name,
        "outcome": one.outcome.value,
        "before": _value(one, one.before),
        "after": _value(one, one.after),
        "low": one.low,
        "high": one.high,
        "floors": round(abs(one.effect), 1),
        "meaning": one.spec.meaning,
    }
