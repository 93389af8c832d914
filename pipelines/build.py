"""Objects built as the settings say: the featurizer, the monitor of a detect partition, the dispatch of alerts."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from monitor.alerting.lifecycle.book import AlertBook
from monitor.alerting.lifecycle.dispatch import Dispatch
from monitor.criteria.derived import FEEDBACK, feedback_of, judged_features
from monitor.criteria.family import CheckFamily, refuse_unknown_features
from monitor.detection import PartitionMonitor
from monitor.features.base import FeatureSpec
from monitor.features.featurizer import Featurizer
from monitor.features.registry import build_featurizer
from monitor.settings import Settings


def featurizer_for(settings: Settings) -> Featurizer:
    """The featurizer that the settings ask for, with the checks of their criteria.

    Raises `ConfigError` where a check asks for a feature that nothing measures.
    """
    features = settings.features
    checks = CheckFamily(settings.criteria_of, settings.checks) if settings.checks else None
    featurizer = build_featurizer(
        features.families,
        features.embedding,
        excerpts=features.excerpts,
        checks=checks,
        declared=lambda stream: settings.for_stream(stream).detection.declared_attributes,
    )
    refuse_unknown_features(settings.checks, featurizer.specs)
    return featurizer


def partition_monitor(
    settings: Settings, specs: Iterable[FeatureSpec], *, current: Callable[[], Settings] | None = None
) -> PartitionMonitor:
    """A detect partition with each stream's own settings; `current` gives them where they may change meanwhile.

    `specs` are the features of the featurizer; those of derived streams are added.
    """
    now = current or (lambda: settings)
    return PartitionMonitor(
        lambda stream: now().for_stream(stream).detection,
        watched_features(settings, specs),
        settings.worker.max_streams,
        lambda stream: None if feedback_of(stream) is None else (FEEDBACK,),
    )


def watched_features(settings: Settings, specs: Iterable[FeatureSpec]) -> tuple[FeatureSpec, ...]:
    """The features that rows of the log may carry: the featurizer's, and those of derived streams."""
    return (*specs, *judged_features(settings.judged))


def dispatch_for(settings: Settings) -> Dispatch:
    """What decides, for the alerts of one partition, which transition is sent to whom and when."""
    alerting = settings.alerting
    return Dispatch(AlertBook(alerting.group_window), settings.maintenance, alerting.flapping)
