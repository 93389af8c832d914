"""Features of outputs as the trace store has them: measured again from the stored texts. Called by `oqm trace`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from monitor.features.base import FeatureSpec
    from monitor.settings import Settings
    from monitor.store.query import StoredOutput

BATCH = 64
"""Outputs measured at once: numpy's cost per call is shared, and their texts exist twice meanwhile."""


class StoredFeatures:
    """Measures stored outputs by the families that the settings choose."""

    def __init__(self, settings: Settings) -> None:
        from monitor.features import build_featurizer

        wanted = settings.features
        self._featurizer = build_featurizer(wanted.families, wanted.embedding, excerpts=False)

    @property
    def specs(self) -> dict[str, FeatureSpec]:
        """The declarations of the features, by name."""
        return {spec.name: spec for spec in self._featurizer.specs}

    def of(self, outputs: Sequence[StoredOutput]) -> list[Mapping[str, Any]]:
        """The features of each: numbers, true or false, texts; None where one is missing.

        A text that is kept as a hash, or not at all, counts as one that was not sent.
        """
        found: list[Mapping[str, Any]] = []
        for start in range(0, len(outputs), BATCH):
            found += self._of_batch(outputs[start : start + BATCH])
        return found

    def _of_batch(self, outputs: Sequence[StoredOutput]) -> list[Mapping[str, Any]]:
        from monitor.cli.features import records
        from monitor.events import decode_event

        events = [
            decode_event(msgspec.json.encode(_as_sent(one)), (), default_id=one.id, timestamp=one.time).event
            for one in outputs
        ]
        batch = self._featurizer.featurize(events, source="store")
        measured = [record["features"] for record in records(batch, self._featurizer.specs)]
        for event, features in zip(events, measured, strict=True):
            if event.error == _NOT_KEPT:
                features["call.outcome.error"] = None  # the store does not say whether the call failed
        return measured


_NOT_KEPT = "not kept"
"""In place of an error, where the store keeps no output: an event has one of both."""


def _as_sent(one: StoredOutput) -> dict[str, Any]:
    """The output as an event; what is kept only as a hash is left out, for a hash says nothing of the text."""
    from monitor.store.kept_form import is_hashed

    known = {**one.fields, "stream": one.stream, "id": one.id, "input": one.input}
    known = {name: value for name, value in known.items() if value is not None and not is_hashed(value)}
    known["output"] = None if is_hashed(one.output) else one.output
    if known["output"] is None:
        known.setdefault("error", _NOT_KEPT)
    return known
