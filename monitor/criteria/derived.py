"""Derived streams: streams whose rows are verdicts on outputs. Their names, and the features of their rows.

`~judged/<stream>/<criterion>` holds the verdicts on a stream's sampled outputs by one criterion, one row an output.
Each criterion has a stream by itself, since criteria may be sampled at different rates, and a feature that most rows
lack cannot be part of a reference. `~anchor/<criterion>` holds the verdicts on a criterion's anchors.

Called by the stage that writes the rows, by detection's set-up and by the settings. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from monitor.criteria.criterion import ANCHOR_STREAM, JUDGED_STREAM, Criterion
from monitor.features.base import FeatureSpec, Kind, Role, Worse

FEEDBACK_STREAM = "~feedback/"
"""Beginning of the name of the derived stream of what users say of a stream's outputs."""
FEEDBACK_PREFIX = "output.feedback."
FEEDBACK = FeatureSpec(
    f"{FEEDBACK_PREFIX}bad",
    Kind.FLAG,
    "the user is not content with the output",
    worse=Worse.UP,
    failure=True,
    role=Role.FEEDBACK,
)
"""The one feature of streams of feedback: of a thumb that it is down, of a rating that it is in the lower half."""

EVALUATOR = "evaluator"
"""The segment of a judged row that names who judged: the evaluator's name and identity. Detection takes it as a version
(`monitor.detection.columns.recent_rows.VERSIONS`): a change that comes with another identity is one of the evaluator,
not of the outputs."""


class Judged(NamedTuple):
    """What a derived stream of judged outputs is derived from."""

    stream: str
    criterion: str


def judged_stream(stream: str, criterion: str) -> str:
    """Name of the stream of a stream's verdicts by one criterion; `judged_of` reverses it."""
    return f"{JUDGED_STREAM}{stream}/{criterion}"


def judged_of(name: str) -> Judged | None:
    """The stream and criterion of a derived stream of judged outputs; None for the name of any other stream.

    >>> judged_of("~judged/shop/answers/polite")
    Judged(stream='shop/answers', criterion='polite')
    """
    if not name.startswith(JUDGED_STREAM):
        return None
    stream, slash, criterion = name.removeprefix(JUDGED_STREAM).rpartition("/")
    return Judged(stream, criterion) if slash and stream and criterion else None


def anchor_stream(criterion: str) -> str:
    """Name of the stream of the verdicts on a criterion's anchors; `anchored` reverses it."""
    return f"{ANCHOR_STREAM}{criterion}"


def anchored(name: str) -> str | None:
    """The criterion of a stream of anchors; None for the name of any other stream."""
    return name.removeprefix(ANCHOR_STREAM) or None if name.startswith(ANCHOR_STREAM) else None


def evaluator_name(evaluator: str, identity: str) -> str:
    """Who judged, as the segment `EVALUATOR` names it: the evaluator's name and its identity."""
    return " ".join(filter(None, (evaluator, identity))) or "unknown"


def judged_features(criteria: Iterable[Criterion]) -> tuple[FeatureSpec, ...]:
    """The failure flag of each judged criterion, once a name: 1 where the evaluator failed an output, 0 where not."""
    by_name = {criterion.name: criterion for criterion in criteria if criterion.judged}
    return tuple(
        FeatureSpec(
            criterion.feature,
            Kind.FLAG,
            f"fails {name} in the evaluator's judgment: {criterion.passes}",
            worse=Worse.UP,
            failure=True,
            role=Role.QUALITY,
        )
        for name, criterion in by_name.items()
    )


def feedback_stream(stream: str, kind: str) -> str:
    """Name of the stream of users' feedback of a kind on a stream's outputs; `feedback_of` reverses it."""
    return f"{FEEDBACK_STREAM}{stream}/{kind}"


def feedback_of(name: str) -> tuple[str, str] | None:
    """The stream and kind of a stream of feedback; None for the name of any other stream.

    >>> feedback_of("~feedback/shop/answers/thumb")
    ('shop/answers', 'thumb')
    """
    if not name.startswith(FEEDBACK_STREAM):
        return None
    stream, slash, kind = name.removeprefix(FEEDBACK_STREAM).rpartition("/")
    return (stream, kind) if slash and stream and kind else None
