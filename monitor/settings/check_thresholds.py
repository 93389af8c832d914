"""Checks of fixed thresholds: that something measures what they limit, and that the limit fits its kind and unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from monitor.config_values.plain_errors import Location, did_you_mean
from monitor.config_values.thresholds import Statistic, Threshold
from monitor.criteria.criterion import PREFIX
from monitor.settings import Settings
from monitor.settings.problem import Problem

if TYPE_CHECKING:
    from monitor.features.base import FeatureSpec

_ATTRIBUTE = "attributes."


def threshold_problems(settings: Settings) -> Iterator[Problem]:
    """Thresholds of features that nothing measures, and limits that their features cannot have."""
    places: list[tuple[Location, tuple[Threshold, ...]]] = [(("detection",), settings.detection.thresholds)]
    places += [(("streams", index), override.thresholds) for index, override in enumerate(settings.streams)]
    if not any(thresholds for _, thresholds in places):
        return
    # Imported here: what a family measures is not needed to read settings.
    from monitor.features.registry import OFF, default_extractors

    every = {spec.name: spec for family in default_extractors() for spec in family.features}
    measured = {
        spec.name
        for family in default_extractors(settings.features.families)
        for spec in family.features
        if settings.features.embedding != OFF or family.family != "embedding"
    }
    checks = {PREFIX + criterion.name for criterion in settings.criteria}
    for at, thresholds in places:
        for index, threshold in enumerate(thresholds):
            for key, what, error in _wrong(threshold, every, measured, checks):
                yield Problem((*at, "thresholds", index, key), what, error)


def _wrong(
    threshold: Threshold, every: Mapping[str, FeatureSpec], measured: set[str], checks: set[str]
) -> Iterator[tuple[str, str, bool]]:
    """Key, what is wrong with it, and whether it is an error or a warning."""
    from monitor.features.families.keyed_templates import spec_of

    name = threshold.feature
    if name is None or name in checks:
        return
    if name.startswith(_ATTRIBUTE):
        yield from _of_attribute(threshold, name.removeprefix(_ATTRIBUTE))
        return
    spec = every.get(name) or spec_of(name)
    if name.startswith(PREFIX):
        known = sorted(checks)
        otherwise = "known are" if known else ""
        yield (
            "feature",
            f"no criterion with a check has the feature {name}{did_you_mean(name, known, otherwise=otherwise)}",
            True,
        )
    elif spec is None:
        yield "feature", f"no feature is called {name}{did_you_mean(name, every, otherwise='such as')}", True
    elif name in every and name not in measured:
        yield "feature", f"{name} is not measured: features.families or features.embedding leave it out", True
    else:
        yield from _of_feature(threshold, spec)


def _of_feature(threshold: Threshold, spec: FeatureSpec) -> Iterator[tuple[str, str, bool]]:
    from monitor.features.base import Kind

    statistic, unit = threshold.statistic, threshold.limit.unit
    key = statistic.value
    if spec.kind is Kind.VECTOR:
        yield "feature", f"{spec.name} is a vector, which has no limit", True
    elif spec.kind is Kind.CATEGORY and threshold.value is None:
        yield "feature", f"{spec.name} is a category: give the value whose share is limited as `value`", True
    elif spec.kind is not Kind.CATEGORY and threshold.value is not None:
        yield "value", f"{spec.name} is a {spec.kind.value}: only a category has values to choose from", True
    elif spec.kind is Kind.FLAG and statistic not in (Statistic.SHARE, Statistic.RATE):
        yield key, f"{spec.name} is a flag, true or false of an event: limit its `share` or its `rate`", True
    elif spec.kind is Kind.NUMBER and statistic is Statistic.SHARE:
        what = (
            f"{spec.name} is a number: limit its mean, median, p95 or max, or write a criterion with "
            f"check: {{feature: {spec.name}, most: ...}} and limit its share"
        )
        yield key, what, True
    elif unit not in ("", "%") and unit != spec.unit and unit != _stem(spec.unit):
        of = f"is in {spec.unit}" if spec.unit else "has no unit"
        yield key, f"{spec.name} {of}, and the limit is in {unit}", True


def _stem(unit: str) -> str:
    """A unit in the singular: a limit of `1 token` is one of tokens."""
    return unit.removesuffix("s")


def _of_attribute(threshold: Threshold, name: str) -> Iterator[tuple[str, str, bool]]:
    from monitor.features.families.feedback import is_left_out

    if threshold.value is None and is_left_out(name):
        what = f"the name {name} is that of an identifier or a time, which is not measured: no event will have a value"
        yield "feature", what, False
