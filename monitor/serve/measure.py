"""What is found out about one proposed output: which checks of its stream it violates, and its embedding.

Only what the checks ask for is measured, so that an answer takes a millisecond in place of the ten that all features of
one output take.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from monitor.actions.messages import GateRequest
from monitor.criteria.checks.feature_bound import FeatureCheck
from monitor.criteria.criterion import Criterion
from monitor.criteria.family import CheckFamily, refuse_unknown_features
from monitor.events.schema import OutputEvent
from monitor.features.base import Column, Extractor
from monitor.features.featurizer import Featurizer
from monitor.features.registry import build_featurizer
from monitor.features.text.words import EventBatch
from monitor.serve.context import Services

OF_TEXTS = ("output.", "input.")
"""Beginnings of the names of features that a text alone has; those of the call are not known before it is used."""


class Measured(NamedTuple):
    """See `monitor.actions.policy.Evidence`; `embedding` is float16 (d), of unit length, empty without a text."""

    violated: tuple[tuple[str, str], ...] = ()
    undecided: tuple[tuple[str, str], ...] = ()
    embedding: bytes = b""


class Measurer:
    """Checks and embeds one output at a time; made once for a process."""

    def __init__(self, services: Services) -> None:
        settings = services.settings
        self._criteria_of: Callable[[str], Sequence[Criterion]] = settings.criteria_of
        self._family = CheckFamily(settings.criteria_of, settings.checks) if settings.checks else None
        self._services = services
        self._featurizer: Featurizer | None = None
        self._owner: dict[str, Extractor] = {}
        self._lock = threading.Lock()  # the memories of a featurizer are of one thread

    def start(self) -> None:
        """Load what measuring needs, so that no request waits for it. Raises `ConfigError` as `build_featurizer`."""
        if not self._services.settings.gate.kinds:
            return
        features = self._services.settings.features
        self._featurizer = build_featurizer(("*",), features.embedding, excerpts=False, checks=self._family)
        refuse_unknown_features(self._services.settings.checks, self._featurizer.specs)
        self._owner = {spec.name: family for family in self._featurizer.extractors for spec in family.features}
        self.measure(GateRequest(kind="draft", stream="~warm", output="The first text loads tables."), checked=True)

    def close(self) -> None:
        """Nothing to end."""

    def measure(self, request: GateRequest, *, checked: bool) -> Measured:
        """What is found out about the request's output; its checks only where they are asked for."""
        featurizer = self._featurizer
        if featurizer is None:
            return Measured()
        event = OutputEvent(
            stream=request.stream, output=request.output, input=request.input, attributes=dict(request.attributes)
        )
        criteria = [one for one in self._criteria_of(request.stream) if one.check is not None] if checked else []
        with self._lock:
            batch = featurizer.batch([event])
            violated, undecided = self._checked(batch, [one for one in criteria if _is_of_texts(one)])
            embedding = b""
            if request.output and batch.output_embedding.any():
                embedding = batch.output_embedding[0].astype(np.float16).tobytes()
        return Measured(violated, undecided, embedding)

    def _checked(
        self, batch: EventBatch, criteria: Sequence[Criterion]
    ) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
        if self._family is None or not criteria:
            return (), ()
        before = sum(self._family.failures.values())
        flags = self._family.extract(batch, self._columns(batch))
        raised = sum(self._family.failures.values()) > before
        violated, undecided = [], []
        for criterion in criteria:
            flag = float(flags[criterion.feature][0])
            if np.isnan(flag):
                undecided.append((criterion.name, _why(batch, raised)))
            elif flag and criterion.check is not None:
                violated.append((criterion.name, criterion.check.violation()))
        return tuple(violated), tuple(undecided)

    def _columns(self, batch: EventBatch) -> Callable[[str], Column | None]:
        """Gives the values of a feature; a family is measured when the first of its features is asked for."""
        measured: dict[Extractor, Mapping[str, Column]] = {}

        def column(name: str) -> Column | None:
            family = self._owner.get(name)
            if family is None:
                return None
            if family not in measured:
                try:
                    measured[family] = family.extract(batch)
                except Exception:  # the contract of a family lets it raise: its features are missing then
                    measured[family] = {}
            return measured[family].get(name)

        return column


def similarity(one: bytes, other: bytes) -> float:
    """Cosine of two embeddings; 0 where one is missing or of another embedder."""
    if not one or len(one) != len(other):
        return 0.0
    a, b = np.frombuffer(one, np.float16).astype(np.float32), np.frombuffer(other, np.float16).astype(np.float32)
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / length if length else 0.0


def _is_of_texts(criterion: Criterion) -> bool:
    check = criterion.check
    return not isinstance(check, FeatureCheck) or check.feature.startswith(OF_TEXTS)


def _why(batch: EventBatch, raised: bool) -> str:
    if batch.output.texts[0] is None:
        return "there is no text"
    return "a function of a check failed" if raised else "not by this text alone"
