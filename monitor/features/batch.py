"""`FeatureBatch`: the columns of a micro-batch of events, as they travel through `oqm.features` and into detection.

Rows keep the order of the log. A batch may hold rows of many streams. Pure data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from monitor.features.families.dependencies import NO_CALLS, Calls, columns
from monitor.features.keyed import NO_KEYED, Keyed

if TYPE_CHECKING:
    import pandas

T = TypeVar("T")


def _pick(items: Sequence[T], rows: Sequence[int]) -> list[T]:
    return list(map(items.__getitem__, rows))


@dataclass(slots=True)
class FeatureBatch:
    """Columnar rows, one per event.

    Attributes
    ----------
    names
        Names of the k scalar features (number, count, flag), in column order.
    values
        float32 (n, k); NaN is missing.
    categories
        Category features by name, n strings each; None is missing.
    calls
        What each of the n events says of each external dependency it called; None where none of them called any.
    keyed
        What each of the n events says under names with a key (`monitor.features.keyed`); None where none says anything.
    embeddings
        float16 (n, d), unit length or all zero for an empty text; None where embedding is off.
    streams, ids
        n strings each.
    times
        float64 (n), seconds since 1970; NaN where a replay has none.
    digests
        uint64 (n), hash of the event's content (without id and time): tells a redelivery from an id used twice.
    segments
        n mappings attribute -> value: what attribution may name (model.version, prompt.version, attributes.tenant).
    input_excerpts, output_excerpts
        n masked excerpts of at most 160 characters, of outputs with their ends and facts of the call
        (`monitor.events.excerpt_parts`); or empty strings with `excerpts: off`.
    source
        Id of the source topic (or a file's name), one per batch.
    strata
        Of each of the n outputs the rules of the draw that apply to it, sorted and joined by `+` (`risky+uniform`);
        None where nothing of its stream is judged, or it has no text. None for all where no stream of the batch
        is judged.
    source_partitions, source_offsets
        int32 (n) and int64 (n): where each event stands in its source; the fence against redelivery.
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]
    streams: Sequence[str]
    ids: Sequence[str]
    times: NDArray[np.float64]
    digests: NDArray[np.uint64]
    source: str
    source_partitions: NDArray[np.int32]
    source_offsets: NDArray[np.int64]
    segments: Sequence[dict[str, str]]
    input_excerpts: Sequence[str]
    output_excerpts: Sequence[str]
    categories: dict[str, Sequence[str | None]] = field(default_factory=dict)
    embeddings: NDArray[np.float16] | None = None
    calls: Sequence[Calls] | None = None
    keyed: Sequence[Keyed] | None = None
    strata: Sequence[str | None] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def frame(self) -> pandas.DataFrame:
        """The rows as a table for notebooks: stream, id, time (UTC), segments as they are, then a column a feature.

        Behind them stand those of each dependency called (`call.dependency.duration_s[orders]`). Flags are 1 and 0,
        missing values NaN or None; vectors are left out.
        """
        import pandas  # here, since a worker never makes one

        described = {
            "stream": list(self.streams),
            "id": list(self.ids),
            "time": pandas.to_datetime(pandas.Series(self.times), unit="s", utc=True),
            "segments": list(self.segments),
        }
        scalars = {name: self.values[:, j] for j, name in enumerate(self.names)}
        categories = {name: list(column) for name, column in self.categories.items()}
        called = self.dependencies()
        return pandas.DataFrame({**described, **scalars, **categories, **called})

    def dependencies(self) -> dict[str, Sequence[float] | Sequence[str | None]]:
        """A column of n values for each feature of each dependency called, dependencies by name; NaN or None: none."""
        if self.calls is None:
            return {}
        names, values, shapes = columns(self.calls, sorted({name for calls in self.calls for name in calls}), None)
        return {**dict(zip(names, values.T.tolist(), strict=True)), **shapes}

    def take(self, rows: NDArray[np.intp]) -> FeatureBatch:
        """The rows with these positions, in this order, as a new batch."""
        places: list[int] = rows.tolist()
        return FeatureBatch(
            names=self.names,
            values=self.values[rows],
            streams=_pick(self.streams, places),
            ids=_pick(self.ids, places),
            times=self.times[rows],
            digests=self.digests[rows],
            source=self.source,
            source_partitions=self.source_partitions[rows],
            source_offsets=self.source_offsets[rows],
            segments=_pick(self.segments, places),
            input_excerpts=_pick(self.input_excerpts, places),
            output_excerpts=_pick(self.output_excerpts, places),
            categories={name: _pick(column, places) for name, column in self.categories.items()},
            embeddings=None if self.embeddings is None else self.embeddings[rows],
            calls=None if self.calls is None else _pick(self.calls, places),
            keyed=None if self.keyed is None else _pick(self.keyed, places),
            strata=None if self.strata is None else _pick(self.strata, places),
        )

    def rows(self, start: int, stop: int) -> FeatureBatch:
        """Rows from `start` to `stop`; arrays are views."""
        cut = slice(start, stop)
        return FeatureBatch(
            names=self.names,
            values=self.values[cut],
            streams=self.streams[cut],
            ids=self.ids[cut],
            times=self.times[cut],
            digests=self.digests[cut],
            source=self.source,
            source_partitions=self.source_partitions[cut],
            source_offsets=self.source_offsets[cut],
            segments=self.segments[cut],
            input_excerpts=self.input_excerpts[cut],
            output_excerpts=self.output_excerpts[cut],
            categories={name: column[cut] for name, column in self.categories.items()},
            embeddings=None if self.embeddings is None else self.embeddings[cut],
            calls=None if self.calls is None else self.calls[cut],
            keyed=None if self.keyed is None else self.keyed[cut],
            strata=None if self.strata is None else self.strata[cut],
        )

    def by_stream(self) -> Iterator[tuple[str, FeatureBatch]]:
        """Each stream's rows as one batch, streams in order of first appearance."""
        positions: dict[str, list[int]] = {}
        for row, stream in enumerate(self.streams):
            positions.setdefault(stream, []).append(row)
        if len(positions) == 1:
            yield self.streams[0], self
            return
        for stream, rows in positions.items():
            first, last = rows[0], rows[-1]
            if last - first + 1 == len(rows):  # side by side, as featurize writes them
                yield stream, self.rows(first, last + 1)
            else:
                yield stream, self.take(np.asarray(rows, dtype=np.intp))


def concat(batches: Sequence[FeatureBatch]) -> FeatureBatch:
    """Rows of several batches with the same columns, one after another."""
    if len(batches) == 1:
        return batches[0]
    first = batches[0]
    return FeatureBatch(
        names=first.names,
        values=np.concatenate([b.values for b in batches]),
        streams=[s for b in batches for s in b.streams],
        ids=[i for b in batches for i in b.ids],
        times=np.concatenate([b.times for b in batches]),
        digests=np.concatenate([b.digests for b in batches]),
        source=first.source,
        source_partitions=np.concatenate([b.source_partitions for b in batches]),
        source_offsets=np.concatenate([b.source_offsets for b in batches]),
        segments=[s for b in batches for s in b.segments],
        input_excerpts=[e for b in batches for e in b.input_excerpts],
        output_excerpts=[e for b in batches for e in b.output_excerpts],
        categories={name: [v for b in batches for v in b.categories[name]] for name in first.categories},
        embeddings=None
        if any(b.embeddings is None for b in batches)
        else np.concatenate([b.embeddings for b in batches if b.embeddings is not None]),
        calls=None
        if all(b.calls is None for b in batches)
        else [calls for b in batches for calls in (b.calls or [NO_CALLS] * len(b))],
        keyed=None
        if all(b.keyed is None for b in batches)
        else [keyed for b in batches for keyed in (b.keyed or [NO_KEYED] * len(b))],
        strata=None
        if all(b.strata is None for b in batches)
        else [stratum for b in batches for stratum in (b.strata or [None] * len(b))],
    )
