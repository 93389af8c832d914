"""Rows of one stream as detection takes them: values are compressed first, so that every later step sees the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.categories import ABSENT, Categories
from monitor.detection.columns.embedding_distance import DISTANCE
from monitor.detection.columns.normal_scores import compress
from monitor.detection.columns.recent_rows import EXCERPTS
from monitor.detection.columns.watched_columns import WatchedColumns
from monitor.detection.state.snapshot_codec import StateRecord
from monitor.features.base import FeatureSpec, Kind
from monitor.features.batch import FeatureBatch
from monitor.features.families.dependencies import NO_CALLS, Calls
from monitor.features.keyed import NO_KEYED, Keyed

CENTRE_OF = 100
"""Outputs whose mean embedding is the centre, at most; they come first in the warm-up and have no distance themselves,
so they are at most a quarter of it."""

QUOTED = 8
"""Of rows that are gathered for a reference one in this many keeps its excerpt, and the last ones do: examples of a
warm-up are chosen among them."""
NO_EXCERPT = ("", "")

C = TypeVar("C")


class StreamRowsState(StateRecord):
    """Of `StreamRows`; `calls` and `keyed` are None where no row has any."""

    names: tuple[str, ...]
    values: NDArray[np.float16]
    categories: dict[str, list[str | None]]
    times: NDArray[np.float64]
    ids: list[str]
    digests: NDArray[np.uint64]
    segments: list[dict[str, str]]
    excerpts: list[tuple[str, str]]
    calls: list[Calls] | None
    keyed: list[Keyed] | None


@dataclass
class StreamRows:
    """n rows in stream order: values float16 (n, k) compressed, categories, times, ids, digests, segments, excerpts.

    `calls` is what each row says of the dependencies it called, until these have columns (`DependencyColumns`);
    `keyed` what it says under names with a key, until the watched ones are columns (`KeyedColumns`).
    """

    names: tuple[str, ...]
    values: NDArray[np.float16]
    categories: dict[str, list[str | None]]
    times: NDArray[np.float64]
    ids: list[str]
    digests: NDArray[np.uint64]
    segments: list[dict[str, str]]
    excerpts: list[tuple[str, str]]
    calls: list[Calls] | None = None
    keyed: list[Keyed] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, batch: FeatureBatch, distances: NDArray[np.float64], wanted: frozenset[str]) -> StreamRows:
        """A batch's rows, with the distances to the centre (n) as one more column; of all only the wanted columns."""
        names, places = _chosen(_with_distance(tuple(batch.names)), wanted)
        values = np.concatenate([batch.values, distances[:, None]], axis=1)[:, places]
        return cls(
            names,
            compress(values),
            {name: list(column) for name, column in _wanted(batch.categories, wanted).items()},
            batch.times.astype(np.float64),
            list(batch.ids),
            batch.digests.copy(),  # a view would keep the whole message
            list(batch.segments),
            list(zip(batch.input_excerpts, batch.output_excerpts, strict=True)),
            None if batch.calls is None else list(batch.calls),
            None if batch.keyed is None else list(batch.keyed),
        )

    def present(self, name: str | None) -> NDArray[np.bool_]:
        """Where a column has a value (n); nowhere if there is no such column."""
        if name is None or name not in self.names:
            return np.zeros(len(self), dtype=bool)
        return np.asarray(np.isfinite(self.values[:, self.names.index(name)]))

    def measured(self, spec: FeatureSpec) -> NDArray[np.bool_]:
        """Where the worker knew the feature (n), whether it has a value there or is missing."""
        if spec.kind is Kind.CATEGORY:
            values = self.categories.get(spec.name)
            return np.asarray([value != ABSENT for value in values or [ABSENT] * len(self)], dtype=bool)
        column = self.column(spec.name)
        return np.zeros(len(self), dtype=bool) if column is None else ~np.isinf(column)

    def column(self, name: str | None) -> NDArray[np.float16] | None:
        """A column's compressed values (n); None if there is no such column."""
        return self.values[:, self.names.index(name)] if name is not None and name in self.names else None

    def read_as(self, layout: WatchedColumns) -> tuple[NDArray[np.float16], NDArray[np.float64]]:
        """The rows as a reference's columns: numbers (n, k) compressed, flags (n, m) with NaN for missing."""
        place = layout.number_columns(self.names)
        numbers = self.values[:, place]
        numbers[:, place < 0] = np.nan
        return numbers, layout.flag_rows(self.values, self.names, Categories(self.categories))

    def only(self, wanted: frozenset[str]) -> StreamRows:
        """The rows with those of these columns that they have."""
        names, places = _chosen(self.names, wanted)
        categories = _wanted(self.categories, wanted)
        if names == self.names and len(categories) == len(self.categories):
            return self
        return replace(self, names=names, values=self.values[:, places], categories=categories)

    def part(self, start: int, stop: int | None = None) -> StreamRows:
        """Rows from `start` to `stop`, which keep no others in memory."""
        cut = slice(start, stop)
        return StreamRows(
            self.names,
            self.values[cut].copy(),
            {name: column[cut] for name, column in self.categories.items()},
            self.times[cut].copy(),
            self.ids[cut],
            self.digests[cut].copy(),
            self.segments[cut],
            self.excerpts[cut],
            None if self.calls is None else self.calls[cut],
            None if self.keyed is None else self.keyed[cut],
        )

    def take(self, chosen: NDArray[np.intp]) -> StreamRows:
        """The rows at these positions."""
        return StreamRows(
            self.names,
            self.values[chosen],
            {name: [column[i] for i in chosen] for name, column in self.categories.items()},
            self.times[chosen],
            [self.ids[i] for i in chosen],
            self.digests[chosen],
            [self.segments[i] for i in chosen],
            [self.excerpts[i] for i in chosen],
            None if self.calls is None else [self.calls[i] for i in chosen],
            None if self.keyed is None else [self.keyed[i] for i in chosen],
        )

    def thinned(self) -> StreamRows:
        """Rows that are gathered for a reference, without most of their excerpts (`QUOTED`)."""
        pairs = zip(self.excerpts, quotable(len(self)).tolist(), strict=True)
        return replace(self, excerpts=[excerpt if quoted else NO_EXCERPT for excerpt, quoted in pairs])

    def without_calls(self) -> StreamRows:
        """The rows without what they say of single dependencies, and under names with a key."""
        return self if self.calls is None and self.keyed is None else replace(self, calls=None, keyed=None)

    def joined(self, other: StreamRows) -> StreamRows:
        """These rows and then the other's, whose columns may differ: what one does not measure is absent there.

        Absent (infinite, or `ABSENT`) is not missing: it says nothing of the event, only of the worker's version.
        """
        if not len(self):
            return other
        names = self.names
        values, more = self.values, other.values
        if other.names != names:
            names = (*names, *(n for n in other.names if n not in set(names)))
            values, more = _aligned(self, names), _aligned(other, names)
        categories = {
            name: [
                *self.categories.get(name, [ABSENT] * len(self)),
                *other.categories.get(name, [ABSENT] * len(other)),
            ]
            for name in {**self.categories, **other.categories}
        }
        return StreamRows(
            names,
            np.concatenate([values, more]),
            categories,
            np.concatenate([self.times, other.times]),
            self.ids + other.ids,
            np.concatenate([self.digests, other.digests]),
            self.segments + other.segments,
            self.excerpts + other.excerpts,
            None
            if self.calls is None and other.calls is None
            else [*(self.calls or [NO_CALLS] * len(self)), *(other.calls or [NO_CALLS] * len(other))],
            None
            if self.keyed is None and other.keyed is None
            else [*(self.keyed or [NO_KEYED] * len(self)), *(other.keyed or [NO_KEYED] * len(other))],
        )

    def to_state(self) -> StreamRowsState:
        """For a snapshot."""
        return StreamRowsState(
            self.names,
            self.values,
            self.categories,
            self.times,
            self.ids,
            self.digests,
            self.segments,
            self.excerpts,
            [dict(each) for each in self.calls] if self.calls and any(self.calls) else None,
            [dict(each) for each in self.keyed] if self.keyed and any(self.keyed) else None,
        )

    @classmethod
    def from_state(cls, state: StreamRowsState) -> StreamRows:
        """The rows that `state` described."""
        return cls(
            _shared(state.names),
            state.values,
            state.categories,
            state.times,
            state.ids,
            state.digests,
            state.segments,
            state.excerpts,
            None if state.calls is None else [each or NO_CALLS for each in state.calls],
            None if state.keyed is None else [each or NO_KEYED for each in state.keyed],
        )


@lru_cache(maxsize=256)
def _shared(names: tuple[str, ...]) -> tuple[str, ...]:
    """Equal names are one object for all streams: a process watches thousands that are measured alike."""
    return names


@lru_cache(maxsize=256)
def _with_distance(names: tuple[str, ...]) -> tuple[str, ...]:
    return _shared((*names, DISTANCE.name))


@lru_cache(maxsize=256)
def _chosen(names: tuple[str, ...], wanted: frozenset[str]) -> tuple[tuple[str, ...], list[int]]:
    """Those of the names that are wanted, and their places."""
    places = [place for place, name in enumerate(names) if name in wanted]
    return _shared(tuple(names[place] for place in places)), places


def _wanted(columns: Mapping[str, C], wanted: frozenset[str]) -> dict[str, C]:
    return {name: column for name, column in columns.items() if name in wanted}


def quotable(n: int) -> NDArray[np.bool_]:
    """Which of n rows that were gathered for a reference have their excerpts."""
    place = np.arange(n)
    quoted: NDArray[np.bool_] = (place % QUOTED == 0) | (place >= n - EXCERPTS)
    return quoted


def _aligned(rows: StreamRows, names: tuple[str, ...]) -> NDArray[np.float16]:
    position = {name: j for j, name in enumerate(rows.names)}
    out = np.full((len(rows), len(names)), np.inf, dtype=np.float16)
    for j, name in enumerate(names):
        if name in position:
            out[:, j] = rows.values[:, position[name]]
    return out


class CentreState(StateRecord):
    """Of `Centre`."""

    of: int
    count: int
    total: NDArray[np.floating[Any]] | None


class Centre:
    """The mean embedding of a stream's first outputs, and distances to it.

    Sums of float16 values are exact in float64 here, so the order and the cut of batches do not matter. Once the centre
    is complete it is kept in single precision.
    """

    def __init__(self, warmup: int = 4 * CENTRE_OF) -> None:
        self.of = min(CENTRE_OF, warmup // 4)
        self.count = 0
        self.total: NDArray[np.floating[Any]] | None = None

    def distances(self, embeddings: NDArray[np.float16] | None, n: int) -> NDArray[np.float64]:
        """Cosine distance of each row (n) to the centre; NaN while it is being learned and for empty outputs."""
        out = np.full(n, np.nan)
        if embeddings is None:
            return out
        vectors = embeddings.astype(np.float64)
        for row in range(n):
            if self.count >= self.of:
                break
            if vectors[row].any():
                self.total = vectors[row].copy() if self.total is None else self.total + vectors[row]
                self.count += 1
                if self.count == self.of:
                    self.total = self.total.astype(np.float32)
        else:
            return out
        first = row
        if self.total is None or len(self.total) != vectors.shape[1]:
            return out
        rest = vectors[first:]
        # Row by row, so that a row's distance does not depend on its neighbours in the batch.
        total = self.total.astype(np.float64)
        dots = np.einsum("ij,j->i", rest, total)
        norms = np.sqrt(np.einsum("ij,ij->i", rest, rest)) * np.sqrt((total * total).sum())
        out[first:] = np.where(norms > 0, 1 - dots / np.maximum(norms, 1e-12), np.nan)
        return out

    def to_state(self) -> CentreState:
        """For a snapshot."""
        return CentreState(self.of, self.count, self.total)

    @classmethod
    def from_state(cls, state: CentreState) -> Centre:
        """The centre that `state` described."""
        centre = cls()
        centre.of, centre.count, centre.total = state.of, state.count, state.total
        return centre
