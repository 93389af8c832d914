"""`CheckFamily`: the checks of all streams as failure flags, one feature a criterion.

The featurizer calls it after the other families, because a check may ask for their features. Pure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.criteria.base import Check, Compiled, Outputs, Verdict
from monitor.criteria.criterion import PREFIX, Criterion
from monitor.errors import ConfigError
from monitor.features.base import Column, FeatureSpec, Kind, Role, Worse
from monitor.features.families.language import WORD_COLUMNS as LANGUAGE_COLUMNS
from monitor.features.families.language import languages
from monitor.features.text.words import EventBatch

MAX_REMEMBERED_STREAMS = 20_000
"""Names of streams whose criteria are remembered: as many as a detect partition holds; then they are worked out again,
so that a flood of made-up names takes no memory."""


@dataclass(frozen=True)
class _Ready:
    """A check made ready, and the feature that it fills."""

    feature: str
    violated: Compiled


class CheckFamily:
    """Checks outputs against the criteria of their streams.

    Parameters
    ----------
    criteria_of
        Gives the criteria of a stream by its name; the same name always gets equal criteria.
    declared
        All criteria with a check that any stream may have. Where two have the same name, they are one feature, and each
        stream's own check decides.

    Attributes
    ----------
    features
        One failure flag per name, in order of declaration: 1 where an output violates the check, 0 where it does not,
        missing where that cannot be decided or the stream has no such criterion.
    failures
        Events for which a check raised, by feature.
    """

    family = "check"
    word_columns: Mapping[str, Callable[[str], float]] = LANGUAGE_COLUMNS

    def __init__(self, criteria_of: Callable[[str], Sequence[Criterion]], declared: Sequence[Criterion]) -> None:
        self._criteria_of = criteria_of
        by_name: dict[str, list[Criterion]] = {}
        for criterion in declared:
            by_name.setdefault(criterion.name, []).append(criterion)
        self.features = tuple(_specification(name, several) for name, several in by_name.items())
        self.failures: Counter[str] = Counter()
        self._ready: dict[tuple[str, str], _Ready] = {}
        self._of_stream: dict[str, tuple[_Ready, ...]] = {}

    def extract(self, batch: EventBatch, column: Callable[[str], Column | None]) -> Mapping[str, NDArray[np.float32]]:
        """The flags of n events by name; `column` gives the n values of another family's feature."""
        n = len(batch)
        flags = {spec.name: np.full(n, np.nan, dtype=np.float32) for spec in self.features}
        rows_of: defaultdict[str, list[int]] = defaultdict(list)
        for row, event in enumerate(batch.events):
            rows_of[event.stream].append(row)
        outputs = Outputs(batch.events, batch.output.texts, column, lambda: languages(batch.output))
        for stream, rows in rows_of.items():
            for check in self._checks(stream):
                verdicts = self._verdicts(check, outputs, rows)
                flags[check.feature][rows] = [np.nan if verdict is None else verdict for verdict in verdicts]
        return flags

    def _checks(self, stream: str) -> tuple[_Ready, ...]:
        found = self._of_stream.get(stream)
        if found is None:
            if len(self._of_stream) >= MAX_REMEMBERED_STREAMS:
                self._of_stream.clear()
            checked = [(one.feature, one.check) for one in self._criteria_of(stream) if one.check is not None]
            found = self._of_stream[stream] = tuple(self._made_ready(feature, check) for feature, check in checked)
        return found

    def _made_ready(self, feature: str, check: Check) -> _Ready:
        key = feature, repr(check)
        found = self._ready.get(key)
        if found is None:
            found = self._ready[key] = _Ready(feature, check.compiled())
        return found

    def _verdicts(self, check: _Ready, outputs: Outputs, rows: Sequence[int]) -> Sequence[Verdict]:
        try:
            return check.violated(outputs, rows)
        except Exception:  # a function of the user's own may raise; which event is at fault shows event by event
            return [self._verdict(check, outputs, row) for row in rows]

    def _verdict(self, check: _Ready, outputs: Outputs, row: int) -> Verdict:
        try:
            return check.violated(outputs, [row])[0]
        except Exception:
            self.failures[check.feature] += 1
            return None


def refuse_unknown_features(criteria: Iterable[Criterion], measured: Sequence[FeatureSpec]) -> None:
    """Raises `ConfigError` where a check asks for a feature that is not measured, or bounds it in a way it has none."""
    known = {spec.name: spec for spec in measured if not spec.name.startswith(PREFIX)}
    for criterion in criteria:
        if criterion.check is not None and (wrong := criterion.check.wrong_features(known)) is not None:
            raise ConfigError(f"criterion {criterion.name}: {wrong}")


def _specification(name: str, several: Sequence[Criterion]) -> FeatureSpec:
    checks = [criterion.check for criterion in several if criterion.check is not None]
    sentences = dict.fromkeys(f"the output {check.violation()}" for check in checks)
    return FeatureSpec(
        several[0].feature,
        Kind.FLAG,
        f"violates {name}: {'; or '.join(sentences)}",
        worse=Worse.UP,
        failure=True,
        role=Role.CHECK,
    )
