"""`Suppression`: findings of drift that are not reported as firing, since something else reports the same change.

A comparison of versions reports what the new version does, and a finding of an objective reports what the change costs.
One cause is reported once (`monitor.detection.diagnosis.alert_correlation`), and what is suppressed is reported as soon
as nothing else reports it. Called by `monitor.detection.stream.stream_monitor`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from monitor.detection.canary.canary_monitor import CanaryMonitor
from monitor.detection.diagnosis import alert_correlation
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.records.finding import Finding, State
from monitor.detection.state.snapshot_codec import StateRecord


class SuppressionState(StateRecord):
    """Of `Suppression`: what comparisons report, and ids of what was reported beside objectives."""

    in_comparisons: list[Finding]
    beside_objectives: dict[str, int | None]


class Suppression:
    """What is suppressed in one stream."""

    def __init__(self) -> None:
        self._in_comparisons: list[Finding] = []  # open drift that a comparison of versions reports in their place
        self._beside_objectives: dict[str, int | None] = {}
        """Ids of open drift that was reported as information beside an objective's finding, each with the stream index
        from which on no objective's finding reports it; None while one does."""

    # Comparisons of versions

    def without_compared(self, findings: Iterable[Finding], canary: CanaryMonitor) -> list[Finding]:
        """Findings of drift, less those that a comparison of versions reports. What ends unreported ends silently."""
        reported = []
        for finding in findings:
            if finding.is_update:
                if finding.id not in self._ids_in_comparisons():
                    reported.append(finding)
            elif finding.state is State.FIRING and canary.tells(finding.segment):
                self._in_comparisons.append(finding)
            elif finding.id in self._ids_in_comparisons():
                self._in_comparisons = [f for f in self._in_comparisons if f.id != finding.id]
            else:
                reported.append(finding)
        return reported

    def comparison_ended(self, still_open: Set[str]) -> list[Finding]:
        """What comparisons reported is reported as what it is, as far as it is still open (ids)."""
        released = [finding for finding in self._in_comparisons if finding.id in still_open]
        self._in_comparisons = []
        return released

    def _ids_in_comparisons(self) -> set[str]:
        return {finding.id for finding in self._in_comparisons}

    # Objectives

    def beside_objectives(
        self, findings: Iterable[Finding], burning: Sequence[Finding], features: DeclaredFeatures
    ) -> list[Finding]:
        """Findings of drift; those that an objective's finding reports already are information, and end silently."""
        reported = []
        for finding in findings:
            if finding.is_update:
                if finding.id in self._beside_objectives:
                    continue  # it was reported as information, which is not sent again
            elif finding.state is State.FIRING:
                burn = alert_correlation.burn_that_covers(finding, burning, features)
                if burn is not None:
                    self._beside_objectives[finding.id] = None
                    finding = alert_correlation.as_information(alert_correlation.beside(finding, burn))
            elif finding.id in self._beside_objectives:
                del self._beside_objectives[finding.id]
                continue
            reported.append(finding)
        return reported

    def outlasting(
        self, index: int, drifts: Iterable[Finding], burning: Sequence[Finding], features: DeclaredFeatures, rows: int
    ) -> list[Finding]:
        """Open drift that was information beside an objective's finding, and goes on `rows` after that has ended.

        `index` is that of the stream's last row.
        """
        reported = []
        for finding in [drift for drift in drifts if drift.id in self._beside_objectives]:
            since = self._beside_objectives[finding.id]
            if alert_correlation.burn_that_covers(finding, burning, features) is not None:
                self._beside_objectives[finding.id] = None
            elif since is None:
                self._beside_objectives[finding.id] = index
            elif index - since >= rows:
                del self._beside_objectives[finding.id]
                reported.append(finding)
        return reported

    # What is reported

    def reported(self, drifts: Iterable[Finding]) -> list[Finding]:
        """Of open drift what no comparison reports."""
        hidden = self._ids_in_comparisons()
        return [finding for finding in drifts if finding.id not in hidden]

    def is_beside_objective(self, finding: Finding) -> bool:
        """Whether a finding was reported as information beside that of an objective."""
        return finding.id in self._beside_objectives

    # State

    def to_state(self) -> SuppressionState:
        """For a snapshot."""
        return SuppressionState(self._in_comparisons, self._beside_objectives)

    @classmethod
    def from_state(cls, state: SuppressionState) -> Suppression:
        """What `state` described."""
        suppression = cls()
        suppression._in_comparisons, suppression._beside_objectives = state.in_comparisons, state.beside_objectives
        return suppression
