"""What a finding names: which of the features that moved, which first, and which of them chance explains as well.

When outputs change, dozens of features move: another language moves vocabulary, sentences and half the embedding. One
of them is the cause in a reader's words, and the rest follows from it or moved by chance. So features are weighed by
how much of a cause they are (`monitor.features.change_words`) times how surely they moved, features that say one thing
are one line, and beside the lead only such are listed as survive a correction for the number of features compared
(Holm 1979).

Called by `diagnose` with what `feature_changes` measured. Decisions about alerts do not depend on it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from scipy.special import ndtr

from monitor.detection.columns.embedding_distance import DISTANCE
from monitor.detection.columns.flags import ANY_FAILURE
from monitor.detection.columns.rare_categories import NONE
from monitor.detection.diagnosis.feature_changes import MOST_FEATURES
from monitor.detection.diagnosis.shift import Shift
from monitor.detection.diagnosis.some_outputs import is_far
from monitor.detection.records.declared_features import DeclaredFeatures, side_of
from monitor.detection.records.finding import FAMILY_MISSING, PRESENT, SPREAD, TAIL, Driver, FeatureChange, base_name
from monitor.detection.reference.reference import Reference
from monitor.events.content import TOOL_FINISHES
from monitor.features.base import FeatureSpec, Kind, Role
from monitor.features.change_words import JSON_START, JSON_START_WORDS, LONG, SAME, STRONG, ChangeWords, change_words
from monitor.features.families.language import UNDETERMINED
from monitor.statistics.several_tests import holm

CHANCE = 0.05
"""Error over all features of a finding: in one of twenty findings some feature is listed that did not change."""
CHANCE_ELSEWHERE = 0.001
"""The same for features on another side than what drives the change, as outputs where only the call changed. The rows
compared were chosen as the start of the change, which carries features further than chance does in other rows."""
MOST_SURE = 12.0
"""Standard errors beyond which a feature is no surer than another: with many rows everything is beyond doubt, and what
leads is decided by the weights."""
TAIL_FACTOR = 1.5
"""How much more the longer tail of a time weighs than its median: it is only listed where that did not move with it."""
MISSING_WEIGHT = 0.3
"""Weight of missing values: outputs are missing because of something, and that has a name."""
LONG_FACTOR = 2.0
"""Outputs this many times as long as before, or as short, changed in length first of all."""
UNNAMED_FACTOR = 0.3
"""Factor of what is derived (spread, missing values, directions) or follows from something else (a language that cannot
be told, since there is little text): it leads only where nothing else moved."""
MAY_BE_NONE = frozenset({Role.FORMAT, Role.TOOLS, Role.FINISH, Role.DEPENDENCY})
"""Roles of categories of which having no value says something by itself: a key is missing, no tool is called. Of the
others, as the language, it says that there is no text."""

ORDINARY_FINISHES = TOOL_FINISHES | {
    "none",
    "stop",
    "end_turn",
    "eos",
    "eos_token",
    "stop_sequence",
    "complete",
    "completed",
}
"""What providers call an end without a fault, or `none` where they say nothing. Where a fault makes these fewer, its
own value rises, and says so."""
LIMIT_FINISHES = frozenset(
    {"length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"}
)
"""What providers call an output that was cut off at a limit of its length."""


def is_internal(name: str, spec: FeatureSpec | None) -> bool:
    """Whether a change's name is of a column that exists for detection only and says nothing to a person.

    `spec` is the declaration of the feature behind the name, if it has one.
    """
    return (
        name == ANY_FAILURE
        or name.endswith((FAMILY_MISSING, SPREAD))
        or base_name(name) == DISTANCE.name
        or (spec is not None and spec.opaque)
    )


def sureties(reference: Reference, moved: Shift) -> dict[str, float]:
    """How many standard errors each feature moved, by its surest column, by the name that changes have."""
    found: dict[str, float] = {}
    for j, size in enumerate(np.abs(moved.surety).tolist()):
        name = reference.layout.name(j)
        found[name] = max(size, found.get(name, 0.0))
    return found


def words_of(change: FeatureChange, features: DeclaredFeatures) -> ChangeWords:
    """The words for a change, of the feature behind its name."""
    name = base_name(change.name)
    spec = features.spec(name)
    if change.usual == JSON_START and spec is not None and spec.role is Role.LAYOUT:
        return JSON_START_WORDS
    return change_words(name, spec)


def placed(
    changes: Sequence[FeatureChange],
    sure: Mapping[str, float],
    driver: Driver,
    features: DeclaredFeatures,
    expected: frozenset[Role] = frozenset(),
) -> list[FeatureChange]:
    """The changes with their places in what is published: the lead's topic first, then the others by their score.

    `sure` are the standard errors of all features that were compared, by name; `expected` are the roles of which the
    lead must be, where there are any (`classify.expected_roles`). A place of -1 means that the change is
    left out: chance explains it as well, another feature of its topic says it, or its column is internal. The lead is
    never left out.
    """
    if not changes:
        return []
    scores = [_score(change, sure, driver, features) for change in changes]
    order = sorted(
        range(len(changes)),
        key=lambda at: (bool(expected) and features.role(changes[at].name) not in expected, -scores[at]),
    )
    surviving, far = _surviving(sure, CHANCE), _surviving(sure, CHANCE_ELSEWHERE)
    lead = words_of(changes[order[0]], features).topic
    kept = [
        at
        for at in order
        if (at == order[0] or not _is_unnamed(changes[at], features))
        and (
            changes[at].name in (surviving if side_of(changes[at].name) == driver.value else far)
            or words_of(changes[at], features).topic == lead
        )
    ] or order[:1]
    kept.sort(key=lambda at: words_of(changes[at], features).topic != lead)
    places = {at: place for place, at in enumerate(kept[:MOST_FEATURES])}
    return [msgspec.structs.replace(change, place=places.get(at, -1)) for at, change in enumerate(changes)]


def named(changes: Sequence[FeatureChange], features: DeclaredFeatures) -> list[FeatureChange]:
    """The changes that a finding puts into words, one of each topic, in the order of their places."""
    topics: dict[str, FeatureChange] = {}
    for change in sorted((each for each in changes if each.place >= 0), key=lambda each: each.place):
        topics.setdefault(words_of(change, features).topic, change)
    return list(topics.values())


def _surviving(sure: Mapping[str, float], chance: float) -> frozenset[str]:
    """The features that moved, with this error over all of them."""
    names = list(sure)
    p = [2 * float(ndtr(-sure[name])) for name in names]
    return frozenset(name for name, survives in zip(names, holm(p, chance), strict=True) if survives)


def _weight(change: FeatureChange, features: DeclaredFeatures) -> float:
    """How much of a cause a change is: as its feature, or more where it is larger than what follows from others."""
    weight = words_of(change, features).weight or 0.0
    role, before, after = features.role(change.name), change.before, change.after
    if _is_about_something_else(change):
        return STRONG
    if _is_mostly(change, features):
        return STRONG
    if role is not Role.LENGTH or weight < SAME or change.name.endswith(TAIL) or change.statistic:
        return weight
    if not isinstance(before, float | int) or not isinstance(after, float | int) or min(before, after) <= 0:
        return weight
    return weight * LONG if max(after / before, before / after) >= LONG_FACTOR else weight


def _is_rarer(change: FeatureChange, features: DeclaredFeatures) -> bool:
    """Whether a value of a category became rarer, without another in its place that has a name."""
    spec = features.spec(change.name)
    return spec is not None and spec.kind is Kind.CATEGORY and change.value is not None and change.effect < 0


def _is_unnamed(change: FeatureChange, features: DeclaredFeatures) -> bool:
    """Whether a change is not named beside others: its column is internal and it does not show another subject."""
    return is_internal(change.name, features.spec(change.name)) and not _is_about_something_else(change)


def _is_direction(change: FeatureChange, features: DeclaredFeatures) -> bool:
    """Whether it is one direction of the outputs' meaning: what changed where nothing with a name moved as far."""
    spec = features.spec(change.name)
    return spec is not None and spec.opaque and side_of(change.name) == "output"


def _is_mostly(change: FeatureChange, features: DeclaredFeatures) -> bool:
    """Whether a share of each output is now most of it: then it is a cause, which as a ratio it is not."""
    most = words_of(change, features).mostly
    return (
        most is not None
        and not change.name.endswith(TAIL)
        and isinstance(change.after, float | int)
        and change.after >= most
    )


def _is_about_something_else(change: FeatureChange) -> bool:
    """Whether outputs, or some of them, are so far from the usual ones that they are about something else."""
    if base_name(change.name) != DISTANCE.name:
        return False
    return change.name.endswith(TAIL) or is_far(change.before, change.after)


def _score(change: FeatureChange, sure: Mapping[str, float], driver: Driver, features: DeclaredFeatures) -> float:
    """How much a change is what happened: how surely it moved, times how much of a cause it is."""
    size = min(sure.get(change.name, 0.0), MOST_SURE)
    if change.name == ANY_FAILURE or change.name.endswith(FAMILY_MISSING):
        return MISSING_WEIGHT * UNNAMED_FACTOR * size
    score = size * _weight(change, features)
    role = features.role(change.name)
    unnamed = _is_unnamed(change, features) and not _is_direction(change, features)
    if unnamed or (change.value == NONE and role not in MAY_BE_NONE):
        score *= UNNAMED_FACTOR
    if change.statistic == PRESENT or (role is Role.LANGUAGE and change.value == UNDETERMINED):
        score *= UNNAMED_FACTOR
    if role is Role.FINISH and str(change.value).lower() in ORDINARY_FINISHES:
        score *= UNNAMED_FACTOR  # errors and refusals end as they should, or not at all
    if _is_rarer(change, features):
        score *= UNNAMED_FACTOR
    if change.name.endswith(TAIL) and role is Role.LATENCY:
        score *= TAIL_FACTOR
    expected = {Driver.INPUT: ("input",), Driver.CALL: ("call",), Driver.OUTPUT: ("output", "call")}
    if driver in expected and side_of(change.name) not in expected[driver]:
        score *= UNNAMED_FACTOR
    if driver is Driver.OUTPUT and role in (Role.LATENCY, Role.CONTEXT, Role.DEPENDENCY):
        score *= UNNAMED_FACTOR  # they follow outputs, or decide on the driver
    return score
