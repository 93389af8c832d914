"""Made-up traffic of one stream, small and seeded: columns that a test can bend before they become batches.

traffic = calm(1200, seed=1)
traffic["output.length.chars"][700:] *= 2
findings = replay(StreamMonitor("s", specs=SPECS), traffic)
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.detection import DetectionSettings, Finding, StreamMonitor
from monitor.detection.state.snapshot_codec import encode, from_plain
from monitor.features.base import FeatureSpec, Kind, Role, Worse
from monitor.features.batch import FeatureBatch
from monitor.features.families.dependencies import Calls

CHARS = "output.length.chars"
WORDS = "output.length.words"
SENTIMENT = "output.tone.sentiment"
LISTS = "output.format.lists"
REFUSAL = "output.tone.refusal"
EMPTY = "output.format.empty"
FENCES = "output.format.fences"
LANGUAGE = "output.language.code"
ASKED = "input.length.chars"
LATENCY = "call.latency.total_s"

SPECS = (
    FeatureSpec(CHARS, Kind.NUMBER, "characters of the output", "characters", role=Role.LENGTH, lead=0),
    FeatureSpec(WORDS, Kind.COUNT, "words of the output", "words", role=Role.LENGTH),
    FeatureSpec(SENTIMENT, Kind.NUMBER, "sentiment of the output", worse=Worse.DOWN),
    FeatureSpec(LISTS, Kind.COUNT, "list items, mostly none", role=Role.LAYOUT),
    FeatureSpec(REFUSAL, Kind.FLAG, "the output refuses", worse=Worse.UP, role=Role.REFUSAL, lead=0),
    FeatureSpec(EMPTY, Kind.FLAG, "the output is empty", worse=Worse.UP, failure=True, role=Role.EMPTY),
    FeatureSpec(FENCES, Kind.COUNT, "code fences, never any", role=Role.LAYOUT),
    FeatureSpec(LANGUAGE, Kind.CATEGORY, "language of the output", role=Role.LANGUAGE),
    FeatureSpec(ASKED, Kind.NUMBER, "characters of the input", "characters", role=Role.LENGTH, lead=0),
    FeatureSpec(LATENCY, Kind.NUMBER, "seconds the call took", "s", Worse.UP, role=Role.LATENCY, lead=0),
)
NAMES = tuple(spec.name for spec in SPECS if spec.kind is not Kind.CATEGORY)
DIMENSIONS = 8
WARMUP = 200
SETTINGS = DetectionSettings(warmup=WARMUP, mature=600)
"""A short warm-up, so that streams in tests can be short; everything else as it is by default."""

Column = NDArray[np.float64]
R = TypeVar("R", bound=msgspec.Struct)


@dataclass
class Traffic:
    """Columns of n events; change them in place, then cut them into batches.

    `digests` counts up unless a test says otherwise: every event says something else.
    """

    columns: dict[str, Column]
    categories: dict[str, list[str | None]]
    embeddings: NDArray[np.float64] | None
    segments: list[dict[str, str]]
    times: Column
    ids: list[str]
    digests: NDArray[np.uint64]
    stream: str = "s"
    partitions: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    calls: list[Calls] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def say(self, rows: NDArray[np.intp]) -> None:
        """Let each event ask and answer what the event at its place in `rows` (n) does; ids and times stay its own."""
        self.columns = {name: column[rows] for name, column in self.columns.items()}
        self.categories = {name: [column[i] for i in rows] for name, column in self.categories.items()}
        self.digests = self.digests[rows]
        if self.embeddings is not None:
            self.embeddings = self.embeddings[rows]

    def batch(self, start: int = 0, stop: int | None = None) -> FeatureBatch:
        """Events from `start` to `stop` as one batch; source offsets are positions here."""
        cut = slice(start, len(self) if stop is None else min(stop, len(self)))
        n = len(self.ids[cut])
        columns = [self.columns[name][cut] for name in self.columns]
        return FeatureBatch(
            names=tuple(self.columns),
            values=np.stack(columns, axis=1).astype(np.float32) if columns else np.empty((n, 0), dtype=np.float32),
            streams=[self.stream] * n,
            ids=self.ids[cut],
            times=self.times[cut].copy(),
            digests=self.digests[cut].copy(),
            source="outputs",
            source_partitions=np.zeros(n, dtype=np.int32),
            source_offsets=np.arange(cut.start, cut.start + n, dtype=np.int64),
            segments=self.segments[cut],
            input_excerpts=[f"question {i}" for i in self.ids[cut]],
            output_excerpts=[f"answer {i}" for i in self.ids[cut]],
            categories={name: column[cut] for name, column in self.categories.items()},
            embeddings=None if self.embeddings is None else self.embeddings[cut].astype(np.float16),
            calls=None if self.calls is None else self.calls[cut],
        )

    def batches(self, cuts: Iterable[int]) -> Iterator[FeatureBatch]:
        """All events, cut before each of these positions."""
        edges = [0, *sorted(cut for cut in set(cuts) if 0 < cut < len(self)), len(self)]
        for start, stop in pairwise(edges):
            yield self.batch(start, stop)


def calm(
    n: int,
    seed: int = 0,
    *,
    stream: str = "s",
    rho: float = 0.0,
    segments: Sequence[dict[str, str]] | None = None,
    version: str | None = "v1",
    embeddings: bool = True,
    every: float = 1.0,
) -> Traffic:
    """n events that stay as they are: nothing here may fire.

    `rho` is the autocorrelation of the numbers' common cause; `segments` are given to the events at random; one event
    comes `every` seconds from time 1,000,000 on.
    """
    rng = np.random.default_rng(seed)
    mood = _autoregressive(rng, n, rho)
    asked = rng.normal(size=n)
    length = 6.5 + 0.2 * asked + 0.35 * rng.normal(size=n) + 0.35 * mood
    chars = np.round(np.exp(length))
    columns = {
        CHARS: chars,
        WORDS: np.round(chars / 6 * np.exp(0.05 * rng.normal(size=n))),
        SENTIMENT: np.tanh(0.3 + 0.4 * rng.normal(size=n) - 0.2 * mood),
        LISTS: np.where(rng.random(n) < 0.3, rng.poisson(4, n) + 1, 0).astype(float),
        REFUSAL: (rng.random(n) < 0.04).astype(float),
        EMPTY: (np.arange(n) % 997 == 150).astype(float),
        FENCES: np.zeros(n),
        ASKED: np.round(np.exp(4 + 0.5 * asked)),
        LATENCY: np.exp(0.2 + 0.3 * rng.normal(size=n)),
    }
    language: list[str | None] = [("en", "de", "fr")[i] for i in rng.choice(3, n, p=[0.8, 0.15, 0.05])]
    centre = np.zeros(DIMENSIONS)
    centre[0] = 2.0
    vectors = centre + rng.normal(size=(n, DIMENSIONS))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    named = [segments[i] for i in rng.integers(0, len(segments), n)] if segments else [{}] * n
    own = {} if version is None else {"model.version": version}
    return Traffic(
        columns=columns,
        categories={LANGUAGE: language},
        embeddings=vectors if embeddings else None,
        segments=[{**own, **segment} for segment in named],
        times=1_000_000.0 + every * np.arange(n),
        ids=[f"{stream}-{i}" for i in range(n)],
        digests=_digests(seed, n),
        stream=stream,
    )


def _digests(seed: int, n: int) -> NDArray[np.uint64]:
    return np.random.default_rng([seed, 7]).integers(0, 2**63, n, dtype=np.uint64)


def _autoregressive(rng: np.random.Generator, n: int, rho: float) -> Column:
    noise = rng.normal(size=n) * np.sqrt(1 - rho * rho)
    if rho == 0:
        return noise
    out = np.empty(n)
    last = rng.normal()
    for i in range(n):
        last = out[i] = rho * last + noise[i]
    return out


def one_column(values: Column, name: str = CHARS, seed: int = 0) -> Traffic:
    """Events of which a single number is known and nothing else."""
    n = len(values)
    return Traffic(
        columns={name: np.asarray(values, dtype=np.float64)},
        categories={},
        embeddings=None,
        segments=[{}] * n,
        times=1_000_000.0 + np.arange(n, dtype=np.float64),
        ids=[f"s-{i}" for i in range(n)],
        digests=_digests(seed, n),
    )


class Observes(Protocol):
    """What a batch can be shown to."""

    def observe(self, batch: FeatureBatch) -> list[Finding]: ...


def watch(settings: DetectionSettings = SETTINGS, *, specs: Sequence[FeatureSpec] = SPECS) -> StreamMonitor:
    """A fresh monitor of the stream `s`."""
    return StreamMonitor("s", settings, specs)


def replay(
    monitor: StreamMonitor,
    traffic: Traffic,
    start: int = 0,
    stop: int | None = None,
    *,
    size: int = 250,
    revisions: bool = False,
) -> list[Finding]:
    """Show these events in batches of `size`; what was found.

    Revisions of what fires are left out unless they are asked for: most tests are about when something fires and ends.
    """
    stop = len(traffic) if stop is None else stop
    found: list[Finding] = []
    for first in range(start, stop, size):
        found += monitor.observe(traffic.batch(first, min(first + size, stop)))
    return [finding for finding in found if revisions or not finding.is_update]


def fired(findings: Sequence[Finding]) -> list[Finding]:
    """Those that fire."""
    return [finding for finding in findings if finding.opens]


def named(finding: Finding) -> set[str]:
    """The features that a finding names."""
    return {change.name for change in finding.features}


def decoded(snapshot: bytes) -> dict[str, Any]:
    """What a stream's snapshot holds."""
    state: dict[str, Any] = msgspec.msgpack.decode(zlib.decompress(snapshot))
    return state


def recoded(state: dict[str, Any]) -> bytes:
    """The snapshot that holds this."""
    return zlib.compress(msgspec.msgpack.encode(state))


def read_again(state: R) -> R:
    """A record of state after it was written and read: it shares nothing with the object that made it."""
    return from_plain(msgspec.msgpack.decode(encode(state)), type(state))
