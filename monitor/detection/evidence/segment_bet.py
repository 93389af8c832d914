"""Bets within segments: each row is bet on in the direction of the recent rows of its segment.

When one tenant of three changes, three rows in ten show it and seven do not; a bet in the direction of *all* recent
rows sees a third of the shift and a tenth of the evidence. A bet may look at anything that is known before its event,
its segment too. So each segment of an attribute has its own mean of recent scores, around the segment's mean in the
reference: events of the segments that did not change cost next to nothing, those of the one that did are bet on in
full. The evidence is one sum for the attribute, so no segment has to pay for the number of them.

A version that the reference never saw is compared with the whole reference. Values of other attributes that it hardly
saw are not bet on: there is nothing to compare them with (`attribution` finds them as new segments). Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.recent_rows import VERSIONS, Segments, each_once
from monitor.detection.evidence.directional_bet import FORGETTING_RATES, ZONE_JOINT, DirectionalEvidence
from monitor.detection.reference.segment_means import ENOUGH, SegmentMeans, beyond
from monitor.detection.reference.views import Array32, Joint
from monitor.detection.state.snapshot_codec import StateRecord

Array = NDArray[np.float64]

MOST_ATTRIBUTES = 3
"""Attributes that are bet within: each is three bets, and a stream seldom has more that matter."""
MOST_SEGMENTS = 8
"""Segments of an attribute that are bet on separately: each is a column of the state."""
SMALLEST = 40
"""Rows in the reference from which a segment is bet on: of what one row in ten shows, fewer rows may show nothing.
Versions are the same thing mostly, and a few rows of one will do."""
GROWN_SEGMENT = 150
"""Rows from which a segment's mean is sure enough to need no wider zone. Without one, unchanged tasks with 50 to 60 of
the 456 to 584 rows of a reference fired when they became frequent, after warm-ups of 200 and of 400. With 100 in place
of 150 one of them still fired; with 200 a change in one tenant of five took a tenth longer to find."""


def chosen(table: SegmentMeans) -> list[str]:
    """The attributes to bet within: those with several segments, smaller names first, and then versions."""
    names = [name for name in table.attributes() if name not in VERSIONS]
    several = [name for name in names if 2 <= len(_known(table, name)) <= MOST_SEGMENTS]
    versions = [name for name in ("model.version", "model.fingerprint", "prompt.version") if table.values(name)]
    versions = versions or [name for name in VERSIONS if table.values(name)]
    return sorted(several)[: MOST_ATTRIBUTES - bool(versions)] + versions[:1]


def _known(table: SegmentMeans, attribute: str) -> list[str]:
    least = ENOUGH if attribute in VERSIONS else SMALLEST
    return [value for value in table.values(attribute) if table.mean(attribute, value, least) is not None]


def segment_widening(count: int) -> float:
    """Factor on the standard error of a segment's mean that was learned from `count` rows; 1 from `GROWN_SEGMENT` on.

    A segment's mean is a reference for its rows, as young as its rows are few, whatever the age of the whole: a task
    that follows the hour may have 50 of 600 events, and then come by the hundred. As in `young_widening`, the factor
    makes the zone of a small segment as many standard errors wide as that of a grown one.
    """
    return 1.0 + ZONE_JOINT * max(0.0, math.sqrt(GROWN_SEGMENT) - math.sqrt(count))


class SegmentBetState(StateRecord):
    """Of `SegmentBet`: the segments' values, and recent scores of each."""

    values: list[str]
    recent: Array32


class SegmentBet:
    """The joint bet of one attribute: state is the mean of recent scores of each segment, (3 rates, segments, m).

    Attributes
    ----------
    values
        The segments, in the order of their means.
    """

    def __init__(self, joint: Joint, attribute: str, table: SegmentMeans, mean: NDArray[np.floating[Any]]) -> None:
        self.attribute = attribute
        self._bets = DirectionalEvidence(joint)
        self._opens = attribute in VERSIONS
        known = _known(table, attribute)[:MOST_SEGMENTS]
        # Rows of a version that has been there alone are all rows, on which the joint bet is placed already.
        self._usual = known[0] if self._opens and len(known) == 1 else None
        self.values = [] if self._usual is not None else known
        m = joint.project.shape[1]
        self._centre = np.zeros((MOST_SEGMENTS, m), dtype=np.float32)
        self._floor = np.tile(np.float32(ZONE_JOINT) + joint.error, (MOST_SEGMENTS, 1))
        for place, value in enumerate(self.values):
            own = table.mean(attribute, value)
            count = table.count(attribute, value)
            assert own is not None
            away = (own - mean)[: len(joint.project)] @ joint.project
            error = joint.error * np.sqrt(table.n / count)
            self._centre[place] = beyond(away, error)
            self._floor[place] = ZONE_JOINT + error * segment_widening(count)
        self.recent = np.zeros((len(FORGETTING_RATES), MOST_SEGMENTS, m), dtype=np.float32)

    def log_bets(self, u: Array32, counts: Array32, where: Sequence[Segments]) -> Array32:
        """Log bets (rows, rates) of whitened rows u (rows, m), weighted by their counts."""
        codes = self._codes(where)
        return self._bets.log_bets(u - self._centre[codes], counts, codes, self._floor, self.recent)

    def _codes(self, where: Sequence[Segments]) -> NDArray[np.intp]:
        """The place of each row's segment (rows), -1 for those not bet on."""
        codes = {name: self._code(dict(each).get(self.attribute)) for name, each in each_once(where).items()}
        return np.fromiter(map(codes.__getitem__, map(id, where)), dtype=np.intp, count=len(where))

    def _code(self, value: str | None) -> int:
        if value is None or value == self._usual:
            return -1
        if value in self.values:
            return self.values.index(value)
        if self._opens and len(self.values) < MOST_SEGMENTS:
            self.values.append(value)
            return len(self.values) - 1
        return -1

    def furthest(self) -> str | None:
        """The segment whose recent scores are furthest from its usual ones."""
        if not self.values:
            return None
        size = (self.recent[-1, : len(self.values)] ** 2).sum(1)
        return self.values[int(np.argmax(size))]

    def restart(self) -> None:
        """Forget the recent scores."""
        self.recent[:] = 0

    def state(self) -> tuple[int, Array32]:
        """The state as it is now, for `rewind`."""
        return len(self.values), self.recent.copy()

    def rewind(self, state: tuple[int, Array32]) -> None:
        """Go back to a `state`."""
        del self.values[state[0] :]
        self.recent = state[1].copy()

    def to_state(self) -> SegmentBetState:
        """For a snapshot."""
        return SegmentBetState(self.values, self.recent[:, : len(self.values)])

    def restore(self, state: SegmentBetState) -> None:
        """Take over what `state` described; the reference must be the same."""
        self.values = state.values
        self.recent[:, : len(self.values)] = state.recent
