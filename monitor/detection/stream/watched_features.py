"""`WatchedFeatures`: what of a stream's declared features is watched, with those of its dependencies. Pure.

What the streams of a process have in common is one object: a process watches thousands that are declared alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from monitor.detection.columns.dependency_columns import DependencyColumns
from monitor.detection.columns.embedding_distance import DISTANCE
from monitor.detection.columns.keyed_columns import KeyedColumns, KeyedColumnsState
from monitor.detection.columns.stream_rows import StreamRows
from monitor.detection.columns.watched_columns import watched
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.settings import DetectionSettings
from monitor.detection.slo.slo_monitor import counted_features
from monitor.detection.state.snapshot_codec import StateRecord
from monitor.features.base import FeatureSpec

_KINDS_OF_STREAMS = 64
"""Combinations of settings, declarations and dependencies that are remembered: an installation has a handful."""


class WatchedFeaturesState(StateRecord):
    """Of `WatchedFeatures`: names of dependencies, and columns with a key."""

    dependencies: tuple[str, ...]
    keyed: KeyedColumnsState


class WatchedFeatures:
    """The features of one stream.

    Parameters
    ----------
    declared
        Declarations of the features that its batches carry; None: those of the default registry.
    settings
        How the stream is watched: which features its settings include.
    dependencies
        Those that are watched one by one; each adds features.

    Attributes
    ----------
    specs, by_name
        All declarations, in order and by name.
    columns
        Names of the columns that its rows need: those that are watched, those that objectives count, and the one that
        says where an event has an input.
    """

    __slots__ = ("_given", "by_name", "columns", "dependencies", "keyed", "specs")

    def __init__(
        self,
        declared: Sequence[FeatureSpec] | None,
        settings: DetectionSettings,
        dependencies: DependencyColumns | None = None,
        keyed: KeyedColumns | None = None,
    ) -> None:
        self._given = tuple(_default_specs() if declared is None else declared)
        self.dependencies = DependencyColumns() if dependencies is None else dependencies
        self.keyed = KeyedColumns() if keyed is None else keyed
        own, _ = _joined(self._given, (DISTANCE,))
        self.specs, self.by_name = _joined(own, (*self.dependencies.specs, *self.keyed.specs))
        self.columns = _columns(own, settings.features, settings.exclude)

    def chosen_from(self, rows: StreamRows, settings: DetectionSettings) -> WatchedFeatures:
        """The same features with the dependencies and keys that these rows, a warm-up, have most."""
        return WatchedFeatures(
            self._given, settings, DependencyColumns.of(rows), KeyedColumns.of(rows, settings.declared_attributes)
        )

    def with_settings(self, settings: DetectionSettings) -> WatchedFeatures:
        """The same features under other settings."""
        keyed = self.keyed.with_declared(settings.declared_attributes)
        return WatchedFeatures(self._given, settings, self.dependencies, keyed)

    def as_columns(self, rows: StreamRows, *, learning: bool) -> StreamRows:
        """The rows with columns for the chosen dependencies and keys; `learning`: they were chosen from these rows."""
        return self.dependencies.with_columns(self.keyed.as_columns(rows, learning=learning))

    def to_state(self) -> WatchedFeaturesState:
        """For a snapshot: what was chosen."""
        return WatchedFeaturesState(self.dependencies.names, self.keyed.to_state())

    def restored(self, state: WatchedFeaturesState, settings: DetectionSettings) -> WatchedFeatures:
        """The same features with what `state` says was chosen."""
        dependencies = DependencyColumns(state.dependencies)
        keyed = KeyedColumns.from_state(state.keyed, settings.declared_attributes)
        return WatchedFeatures(self._given, settings, dependencies, keyed)


@lru_cache(maxsize=1)
def _default_specs() -> tuple[FeatureSpec, ...]:
    # Imported here because a caller that passes its own features need not load the built-in tables.
    from monitor.features.registry import default_extractors

    return tuple(spec for family in default_extractors() for spec in family.features)


@lru_cache(maxsize=_KINDS_OF_STREAMS)
def _joined(
    declared: tuple[FeatureSpec, ...], more: tuple[FeatureSpec, ...]
) -> tuple[tuple[FeatureSpec, ...], DeclaredFeatures]:
    """Both, and by name."""
    specs = (*declared, *more)
    return specs, DeclaredFeatures(specs)


@lru_cache(maxsize=_KINDS_OF_STREAMS)
def _columns(declared: tuple[FeatureSpec, ...], use: tuple[str, ...], leave_out: tuple[str, ...]) -> frozenset[str]:
    features = DeclaredFeatures(declared)
    needed = (features.input_length, *counted_features(features))
    return frozenset([*(spec.name for spec in watched(declared, use, leave_out)), *filter(None, needed)])
