"""`Featurizer`: from events to the columns that detection reads.

Runs the extractors of an explicit table over a micro-batch. An extractor that raises is asked again event by event, so
that only the events at fault miss its columns; failures are counted by family. May import `monitor.events` and its
neighbours in this package only.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.events.identity import content_digest, segments
from monitor.events.redaction import excerpts
from monitor.events.schema import OutputEvent
from monitor.features.base import Column, Extractor, FeatureSpec, Kind
from monitor.features.batch import FeatureBatch
from monitor.features.families.call import CallFacts
from monitor.features.families.dependencies import calls_of
from monitor.features.families.feedback import Feedback
from monitor.features.keyed import MAX_KEYED_IN_EVENT, NO_KEYED, Keyed, KeyedExtractor
from monitor.features.quoted_outputs import quoted_outputs
from monitor.features.text.words import Embedder, EventBatch, table_for

_BATCH_CHARACTERS = 4_000_000
"""Characters taken through the one pass at once; a larger micro-batch is worked off in parts to bound the memory."""

_SINGLE = struct.Struct("<f")
_EXACT_IN_SINGLE = 2**24
"""Whole numbers below this are the same in single precision."""

EMBEDDER = "embedder"
"""Counts the events that the embedder failed on, among the failures by family."""


class DependentFamily(Protocol):
    """A family that reads the features of others (`monitor.criteria.family`); it is asked last, and never raises."""

    @property
    def features(self) -> tuple[FeatureSpec, ...]:
        """What the family measures: flags, in column order."""
        ...

    @property
    def failures(self) -> Counter[str]:
        """Events that it failed on so far, by feature."""
        ...

    def extract(self, batch: EventBatch, column: Callable[[str], Column | None]) -> Mapping[str, NDArray[np.float32]]:
        """Columns by name; `column` gives the values of a feature of another family, None where nothing measures it."""
        ...


class Featurizer:
    """Measures events. One per worker thread; holds no state but memories that only save time.

    Parameters
    ----------
    extractors
        Families in column order (`monitor.features.registry.default_extractors`).
    embedder
        Replaces the static embedding; `NoEmbedding` turns embeddings off.
    excerpts
        Whether batches carry masked excerpts of input and output.
    checks
        What is computed from the other features; its columns come last.

    Attributes
    ----------
    specs
        Declarations of all features, in column order; categories stand among them but have their own columns.
    failures
        Events that a family failed on, by family; `<family>.word` counts words that a family's word column failed on.
    """

    def __init__(
        self,
        extractors: Sequence[Extractor],
        *,
        embedder: Embedder | None = None,
        excerpts: bool = True,
        checks: DependentFamily | None = None,
    ) -> None:
        self.extractors = tuple(extractors)
        self._checks = checks
        declared = [spec for family in extractors for spec in family.features]
        self.specs: tuple[FeatureSpec, ...] = (*declared, *(checks.features if checks is not None else ()))
        names = Counter(spec.name for spec in self.specs)
        repeated = sorted(name for name, count in names.items() if count > 1)
        if repeated:
            raise ValueError(f"declared by more than one extractor: {', '.join(repeated)}")
        self._scalars = tuple(spec.name for spec in self.specs if spec.kind not in (Kind.CATEGORY, Kind.VECTOR))
        self._position = {name: position for position, name in enumerate(self._scalars)}
        self._categories = tuple(spec.name for spec in self.specs if spec.kind is Kind.CATEGORY)
        self._table = table_for(extractors if checks is None else (*extractors, checks))
        self._owner = {name: family.family for family in extractors for name in family.word_columns}
        self._embedder = embedder
        self._excerpts = excerpts
        self._calls = any(extractor.family == CallFacts.family for extractor in extractors)
        self._feedback = next((family for family in self.extractors if isinstance(family, Feedback)), None)
        self._keyed = tuple(family for family in self.extractors if isinstance(family, KeyedExtractor))
        self._failed: Counter[str] = Counter()

    def batch(self, events: Sequence[OutputEvent]) -> EventBatch:
        """The events as extractors read them, for who measures only some of the features; nothing is computed yet."""
        return EventBatch(events, self._table, self._embedder)

    @property
    def failures(self) -> Counter[str]:
        """Failures so far, by family."""
        words = Counter({f"{self._owner.get(name, 'words')}.word": n for name, n in self._table.failures.items()})
        return self._failed + words + (self._checks.failures if self._checks is not None else Counter())

    def featurize(
        self,
        events: Sequence[OutputEvent],
        *,
        source: str,
        partitions: NDArray[np.int32] | None = None,
        offsets: NDArray[np.int64] | None = None,
    ) -> FeatureBatch:
        """Columns of n events in their order.

        `source` names the topic or file, `partitions` and `offsets` (n) say where each event stands in it; without
        them the batch counts as the whole of partition 0. Event ids must be filled in (`decode_event` does).
        """
        n = len(events)
        values = np.full((n, len(self._scalars)), np.nan, dtype=np.float32)
        categories: dict[str, list[str | None]] = {name: [None] * n for name in self._categories}
        vectors: list[NDArray[np.float16]] = []
        keyed: list[Keyed] = []
        for rows, part in _parts(events):
            batch = EventBatch(part, self._table, self._embedder)
            for extractor in self.extractors:
                columns = self._extract(extractor, batch)
                for spec in extractor.features:
                    if spec.kind is Kind.CATEGORY:
                        categories[spec.name][rows] = [None if v is None else str(v) for v in columns[spec.name]]
                    elif spec.kind is not Kind.VECTOR:
                        values[rows, self._position[spec.name]] = columns[spec.name]
            if self._checks is not None:
                self._check(self._checks, batch, values[rows], categories, rows)
            vectors.append(self._embeddings(batch))
            keyed += self._keyed_of(batch)
        values[~np.isfinite(values)] = np.nan
        embeddings = np.concatenate(vectors) if vectors else np.zeros((0, 0), np.float16)
        return FeatureBatch(
            names=self._scalars,
            values=values,
            streams=[event.stream for event in events],
            ids=[event.id or "" for event in events],
            times=np.array([np.nan if event.time is None else event.time for event in events], dtype=np.float64),
            digests=np.fromiter(map(content_digest, events), dtype=np.uint64, count=n),
            source=source,
            source_partitions=np.zeros(n, np.int32) if partitions is None else partitions,
            source_offsets=np.arange(n, dtype=np.int64) if offsets is None else offsets,
            segments=[self._segments(event) for event in events],
            input_excerpts=excerpts([event.input for event in events]) if self._excerpts else [""] * n,
            output_excerpts=quoted_outputs(events) if self._excerpts else [""] * n,
            categories=dict(categories),
            embeddings=embeddings if embeddings.shape[1] else None,
            calls=calls_of(events) if self._calls else None,
            keyed=keyed if any(keyed) else None,
        )

    def _segments(self, event: OutputEvent) -> dict[str, str]:
        """The attributes that a finding may name as the part of the traffic that changed."""
        found = segments(event)
        return found if self._feedback is None else self._feedback.without_feedback(event, found)

    def _check(
        self,
        checks: DependentFamily,
        batch: EventBatch,
        values: NDArray[np.float32],
        categories: Mapping[str, Sequence[str | None]],
        rows: slice,
    ) -> None:
        """Fills the columns of `checks` in `values` (n, k), a view of the micro-batch's `rows`."""

        def column(name: str) -> Column | None:
            position = self._position.get(name)
            if position is not None:
                return values[:, position]
            return categories[name][rows] if name in categories else None

        for name, flags in checks.extract(batch, column).items():
            values[:, self._position[name]] = flags

    def _keyed_of(self, batch: EventBatch) -> list[Keyed]:
        """What each event of a batch says under names with a key, of all families that report such."""
        found: list[Keyed] = [NO_KEYED] * len(batch)
        for family in self._keyed:
            try:
                rows = family.keyed(batch)
            except Exception:  # as in `_extract`: which event is at fault shows event by event
                rows = [self._keyed_singly(family, event) for event in batch.events]
            for place, row in enumerate(rows):
                if row and len(found[place]) + len(row) <= MAX_KEYED_IN_EVENT:
                    found[place] = {**found[place], **row}
        return [{name: _travelling(value) for name, value in row.items()} if row else NO_KEYED for row in found]

    def _keyed_singly(self, family: KeyedExtractor, event: OutputEvent) -> Keyed:
        try:
            [row] = family.keyed(EventBatch([event], self._table, self._embedder))
        except Exception:
            self._failed[f"{getattr(family, 'family', 'unnamed')}.keyed"] += 1
            return NO_KEYED
        return row

    def _embeddings(self, batch: EventBatch) -> NDArray[np.float16]:
        """(n, d): the outputs' embeddings; zero, as of an empty text, for an event on which the embedder fails."""
        try:
            return batch.output_embedding.astype(np.float16)
        except Exception:  # as in `_extract`: one text must not cost the whole batch
            rows = [self._embedding_of(event) for event in batch.events]
        dimensions = next((len(row) for row in rows if row is not None), self._dimensions())
        return np.stack([np.zeros(dimensions, np.float16) if row is None else row for row in rows])

    def _embedding_of(self, event: OutputEvent) -> NDArray[np.float16] | None:
        try:
            vector: NDArray[np.float16] = EventBatch([event], self._table, self._embedder).output_embedding[0]
        except Exception:
            self._failed[EMBEDDER] += 1
            return None
        return vector.astype(np.float16)

    def _dimensions(self) -> int:
        return self._embedder.dimensions if self._embedder is not None else self._table.static.rows.shape[1]

    def _extract(self, extractor: Extractor, batch: EventBatch) -> Mapping[str, Column]:
        try:
            return _checked(extractor, extractor.extract(batch), len(batch))
        except Exception:  # the contract lets a family raise; which event is at fault shows event by event
            return self._extract_singly(extractor, batch)

    def _extract_singly(self, extractor: Extractor, batch: EventBatch) -> Mapping[str, Column]:
        rows: list[Mapping[str, Column] | None] = []
        for event in batch.events:
            try:
                single = EventBatch([event], self._table, self._embedder)
                rows.append(_checked(extractor, extractor.extract(single), 1))
            except Exception:
                self._failed[extractor.family] += 1
                rows.append(None)
        columns: dict[str, Column] = {}
        for spec in extractor.features:
            if spec.kind is Kind.VECTOR:
                continue
            found = [None if row is None else row[spec.name][0] for row in rows]
            if spec.kind is Kind.CATEGORY:
                columns[spec.name] = [None if value is None else str(value) for value in found]
            else:
                columns[spec.name] = np.array([np.nan if v is None else v for v in found], dtype=np.float32)
        return columns


def _checked(extractor: Extractor, columns: Mapping[str, Column], n: int) -> Mapping[str, Column]:
    """The columns that a family declares, each of n values. Raises for a family that returns something else."""
    checked: dict[str, Column] = {}
    for spec in extractor.features:
        if spec.kind is Kind.VECTOR:
            continue
        column = columns[spec.name]
        if spec.kind is not Kind.CATEGORY:
            column = np.asarray(column, dtype=np.float32)
        if len(column) != n:
            raise ValueError(f"{spec.name}: {len(column)} values for {n} events")
        checked[spec.name] = column
    return checked


def _travelling(value: float | str) -> float | str:
    """A value as it travels: numbers in single precision, so that a replay sees what a worker sees."""
    if isinstance(value, str) or (value.is_integer() and abs(value) < _EXACT_IN_SINGLE):
        return value
    single: float = _SINGLE.unpack(_SINGLE.pack(value))[0]
    return single


def _parts(events: Sequence[OutputEvent]) -> Iterator[tuple[slice, Sequence[OutputEvent]]]:
    """Consecutive events of at most `_BATCH_CHARACTERS` characters together, or one longer one alone."""
    start = characters = 0
    for row, event in enumerate(events):
        size = len(event.output or "") + len(event.input or "")
        if characters + size > _BATCH_CHARACTERS and row > start:
            yield slice(start, row), events[start:row]
            start, characters = row, 0
        characters += size
    if start < len(events):
        yield slice(start, len(events)), events[start:]
