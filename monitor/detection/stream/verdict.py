"""What follows from a diagnosis: whether to wait, to inform, to fire, or that a known change goes on or ends.

`decide` is a pure function of the diagnosis, the findings that are open and the stream's settings.
`monitor.detection.stream.reference_monitor` acts on the verdict. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from monitor.detection.diagnosis import attribution
from monitor.detection.diagnosis.diagnose import MIN_ROWS_TO_CALL_A_SHIFT_SMALL, Crossing, Diagnosis, View
from monitor.detection.records.finding import Driver, Finding
from monitor.detection.stream.open_findings import OpenFindings, Situation

ROWS_BETWEEN_CHECKS_OF_FLAGS = 16
"""Rows after which a change that only bets on flags report is examined again: half a block, so with the next one."""
MAX_ROWS_BEFORE_DOWNGRADE = 288
"""Rows after its beginning at which a change of flags that is still unconfirmed is reported as information: the history
holds 384 rows, and a change that began before them could not be placed any more."""


class Verdict(StrEnum):
    """What a monitor does after a diagnosis."""

    WAIT = "wait"  # too few rows to say: the same evidence is examined again some rows later
    INFORM = "inform"  # reported once as information, and nothing else follows
    FIRE = "fire"  # a finding opens and a provisional reference is learned; it fires unless other inputs explain it
    CONTINUES = "continues"  # an open finding reports this change already
    NEW_SEGMENT = "new_segment"  # rows of a segment that the reference does not know; they get a monitor of their own
    RETURNING = "returning"  # the rows are on their way back to the original reference


@dataclass(frozen=True)
class Decision:
    """A verdict, with what it takes to act on it.

    Attributes
    ----------
    fires
        Whether a finding that follows fires; otherwise it is information.
    wait_rows
        With `WAIT`: rows after which to examine again.
    known
        With `CONTINUES`: the open finding that reports this change.
    """

    verdict: Verdict
    fires: bool = False
    wait_rows: int = 0
    known: Finding | None = None


def decide(
    situation: Situation, crossing: Crossing, found: Diagnosis, findings: OpenFindings, *, may_wait: bool
) -> Decision:
    """The verdict on a diagnosis.

    `may_wait` says whether a drift that a detector of one number found may be examined once more: unlike evidence, the
    detector has forgotten it, so that is limited (`monitor.detection.detectors.chosen`).
    """
    wait = _wait_rows(crossing, found, may_wait=may_wait)
    if wait:
        return Decision(Verdict.WAIT, wait_rows=wait)
    returning = findings.is_returning(situation, found.rows_since, {change.name for change in found.changes})
    alerts = found.driver.value in situation.context.settings.alert_on
    fires = bool(found.changes) and alerts and not returning and not found.unconfirmed
    known = findings.continued_by(situation, found.attribution.segment, found.decisive) if fires else None
    if known is not None:
        return Decision(Verdict.CONTINUES, known=known)
    if found.attribution.new_segments and not fires:
        return Decision(Verdict.NEW_SEGMENT)
    explained_by_inputs = found.driver is Driver.INPUT and crossing.view is View.OUTPUTS
    if not returning and (fires or explained_by_inputs):
        return Decision(Verdict.FIRE, fires)
    if not crossing.of_detector and found.too_few_rows:
        # Certain together, and no feature large enough yet: a few more rows decide.
        return Decision(Verdict.WAIT, wait_rows=MIN_ROWS_TO_CALL_A_SHIFT_SMALL)
    return Decision(Verdict.RETURNING if returning else Verdict.INFORM)


def _wait_rows(crossing: Crossing, found: Diagnosis, *, may_wait: bool) -> int:
    """Rows after which it is examined again, as it is too early to decide; 0: it is not."""
    until_decided = attribution.COMPARED - found.rows_since if found.undecided else 0
    if crossing.of_detector:
        if not may_wait or (found.changes and not found.undecided):
            return 0
        return until_decided or MIN_ROWS_TO_CALL_A_SHIFT_SMALL
    if found.undecided:
        return until_decided
    if found.unconfirmed and found.rows_since < MAX_ROWS_BEFORE_DOWNGRADE:
        return ROWS_BETWEEN_CHECKS_OF_FLAGS
    return 0
