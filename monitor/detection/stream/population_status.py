"""What a stream's status shows of one population of rows: its features, and the traffic of its segments. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.normal_scores import expand
from monitor.detection.columns.recent_rows import RecentRows, Segments
from monitor.detection.columns.watched_columns import FlagKind
from monitor.detection.records.plain_numbers import log10
from monitor.detection.records.status import FeatureStatus, SegmentShare
from monitor.detection.reference.reference import Reference
from monitor.detection.reference.segment_means import SegmentMeans

RECENT_ROWS = 64
"""Rows that say what features and segments are lately: two blocks, and a rate is known within six percentage points."""
MAX_SEGMENT_SHARES = 24
"""Segments whose share a status reports: metrics of a stream stay bounded whatever attributes its events carry, ids of
requests included."""
MIN_SHARE_OF_A_NEW_SEGMENT = 0.1
"""Share of the recent rows that a segment must carry to be reported though the reference does not know it."""


def feature_statuses(
    reference: Reference, history: RecentRows, evidence: NDArray[np.float64]
) -> dict[str, FeatureStatus]:
    """Each number's median and each declared flag's rate: in the reference, and over the last `RECENT_ROWS` rows.

    `evidence` (d) is that of each column alone.
    """
    layout = reference.layout
    recent = expand(history.numbers[-RECENT_ROWS:])
    out: dict[str, FeatureStatus] = {}
    for j, name in enumerate(layout.numbers):
        seen = recent[:, j][np.isfinite(recent[:, j])]
        median = float(np.median(seen)) if len(seen) else None
        out[name] = FeatureStatus(reference.ranks.median(j), median, log10(evidence[j]))
    flags = history.flag_values(-RECENT_ROWS)
    for m, flag in enumerate(layout.flags):
        if flag.kind is FlagKind.DECLARED:
            j = len(layout.numbers) + m
            seen = flags[:, m][np.isfinite(flags[:, m])]
            rate = float(seen.mean()) if len(seen) else None
            out[flag.feature] = FeatureStatus(float(reference.mean[j]), rate, log10(evidence[j]))
    return out


def segment_shares(table: SegmentMeans, recent: Sequence[Segments]) -> list[SegmentShare]:
    """Values of attributes by how much of the traffic they carry, in the reference or among these recent rows.

    At most `MAX_SEGMENT_SHARES`: what comes and goes is among them as long as it carries more than the rest.
    """
    now = Counter(pair for pairs in recent for pair in pairs)
    known = {(a, v): table.share(a, v) for a in table.attributes() for v in table.values(a)}
    rows = max(1, len(recent))
    found = [
        SegmentShare(a, v, known.get((a, v), 0.0), now[a, v] / rows)
        for a, v in {**known, **now}
        if not table.is_wide(a) and ((a, v) in known or now[a, v] >= MIN_SHARE_OF_A_NEW_SEGMENT * rows)
    ]
    found.sort(key=lambda share: (-max(share.reference, share.current), share.attribute, share.value))
    return found[:MAX_SEGMENT_SHARES]
