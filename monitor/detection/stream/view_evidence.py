"""`ViewEvidence`: evidence on outputs and on inputs against one reference.

A reference monitor weighs what was answered and what was asked separately, since only the first pages by default. A
monitor of features that came late bets on one of the two (`monitor.detection.stream.late_features`). Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.recent_rows import Segments
from monitor.detection.diagnosis.diagnose import Crossing, View
from monitor.detection.evidence.shiryaev_roberts import Evidence, EvidenceState
from monitor.detection.reference.learned_reference import LearnedReference

Array = NDArray[np.float64]


class ScoredRows(NamedTuple):
    """Rows as evidence takes them: scores (n, d), for how much of an event each counts (n), segments (n), and where a
    number has no value (n, numbers)."""

    y: Array
    counts: Array
    segments: list[Segments]
    missing: NDArray[np.bool_]

    def first(self, rows: int) -> ScoredRows:
        """The first of the rows."""
        return ScoredRows(self.y[:rows], self.counts[:rows], self.segments[:rows], self.missing[:rows])


class ViewEvidence:
    """Evidence of a population's rows since it last began from zero.

    Parameters
    ----------
    normal
        The reference that rows are judged against.
    views
        Those that are bet on.
    """

    def __init__(self, normal: LearnedReference, views: Sequence[View]) -> None:
        reference = normal.reference
        self._views = views
        self._outputs = Evidence(reference.outputs, reference.mean, normal.segments)
        self._inputs = Evidence(reference.inputs, reference.mean)

    def of(self, view: View) -> Evidence:
        """The evidence on a view."""
        return self._inputs if view is View.INPUTS else self._outputs

    def take(self, rows: ScoredRows) -> dict[View, Array]:
        """Take rows (n); by view the evidence after each of them (n)."""
        return {view: self.of(view).block(*rows) for view in self._views}

    def state(self) -> tuple[Any, Any]:
        """The state as it is now, for `rewind`."""
        return self._outputs.state(), self._inputs.state()

    def rewind(self, state: tuple[Any, Any]) -> None:
        """Go back to a `state`."""
        self._outputs.rewind(state[0])
        self._inputs.rewind(state[1])

    def restart(self) -> None:
        """Begin from zero."""
        self._outputs.restart()
        self._inputs.restart()

    def renew(self, normal: LearnedReference) -> None:
        """The reference matured: the same sums go on, with the new bets."""
        reference = normal.reference
        self._outputs = self._outputs.renewed(reference.outputs, reference.mean, normal.segments)
        self._inputs = self._inputs.renewed(reference.inputs, reference.mean)

    def crossing(self, view: View, column: int | None = None) -> Crossing:
        """What the evidence on a view says now; `column` is that of a number whose own detector found drift."""
        evidence = self.of(view)
        return Crossing(
            view, evidence.active_kinds(), evidence.strongest_kind(), evidence.carrier(), evidence.total(), column
        )

    def to_state(self) -> tuple[EvidenceState, EvidenceState]:
        """For a snapshot: of the outputs and of the inputs."""
        return self._outputs.to_state(), self._inputs.to_state()

    def restore(self, state: tuple[EvidenceState, EvidenceState]) -> None:
        """Take over what `state` described, of the same reference."""
        self._outputs.restore(state[0])
        self._inputs.restore(state[1])
