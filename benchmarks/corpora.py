"""Real outputs as feature batches: read once, measured once, kept in `.cache/benchmarks/`.

Public sources, so that anyone can fetch them and get the same tables:

alpacaeval   results of 12 models on the 805 AlpacaEval instructions: github.com/tatsu-lab/alpaca_eval, folder `results`
             (repository Apache-2.0, instructions CC BY-NC 4.0)
llmdrift     GPT-3.5 and GPT-4, March and June 2023, on the same prompts: github.com/lchen001/LLMDrift (Apache-2.0)

The production hour of two LLM services that some benchmarks use as well is read by `tests.azure_trace`.

A kept batch is found by a hash of the data file and of the code that measures, so it is never stale.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.detection.records.log_format import decode_message, encode
from monitor.events.files.reader import read_events
from monitor.events.schema import Model, OutputEvent
from monitor.features.batch import FeatureBatch, concat
from monitor.features.featurizer import Featurizer
from monitor.features.registry import build_featurizer

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "benchmarks"
MICRO_BATCH = 256
LENGTH = "output.length.chars"
SOURCES = {
    "alpacaeval.jsonl.gz": "github.com/tatsu-lab/alpaca_eval (results)",
    "llmdrift.jsonl.gz": "github.com/lchen001/LLMDrift",
    "azure_llm_trace_2023.jsonl.gz": "github.com/Azure/AzurePublicDataset (AzureLLMInferenceTrace 2023)",
}
BROKEN = ("empty", "cut off", "error text")
"""Ways in which an answer is broken; row i of a broken corpus is of the kind i modulo three."""
ERRORS = (
    "Error: upstream request timed out (504)",
    '{"error": {"message": "The server had an error while processing your request", "type": "server_error"}}',
    "Traceback (most recent call last): requests.exceptions.ConnectionError: Max retries exceeded",
    "Rate limit reached. Please try again later.",
)
"""What stands in place of an answer when the call behind it failed."""


@dataclass(frozen=True)
class Corpus:
    """Outputs of one model (version) on one set of prompts.

    Attributes
    ----------
    name
        Model, with the task before it where there is one.
    batch
        Feature rows, in the file's order.
    tasks
        Task of each row.
    prompts
        Number of each row's prompt: the same prompt has the same number in every corpus of a file.
    """

    name: str
    batch: FeatureBatch
    tasks: list[str]
    prompts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def chars(self) -> NDArray[np.float64]:
        """Length of each output in characters (n)."""
        return self.batch.values[:, self.batch.names.index(LENGTH)].astype(np.float64)


@cache
def alpacaeval(data: Path) -> dict[str, Corpus]:
    """Corpora by model."""
    return _corpora(data / "alpacaeval.jsonl.gz", by_task=False)


@cache
def llmdrift(data: Path, at_least: int = 100) -> dict[str, Corpus]:
    """Corpora by `task/version`, of tasks with at least so many records a version."""
    return {
        name: corpus for name, corpus in _corpora(data / "llmdrift.jsonl.gz", by_task=True).items()
        if len(corpus) >= at_least
    }  # fmt: skip


@cache
def broken(data: Path) -> dict[str, Corpus]:
    """The outputs of `alpacaeval` as a failing service would give them: empty, cut off, or an error's text."""
    return _corpora(data / "alpacaeval.jsonl.gz", by_task=False, breaking=True)


class _Entry(msgspec.Struct):
    name: str
    tasks: list[str]
    prompts: list[int]
    messages: list[bytes]


def _corpora(path: Path, *, by_task: bool, breaking: bool = False) -> dict[str, Corpus]:
    featurizer = build_featurizer()
    stem = path.name.split(".")[0] + ("_broken" if breaking else "")
    kept = CACHE / f"{stem}-{_fingerprint(path, featurizer)}.msgpack"
    if kept.exists():
        entries = msgspec.msgpack.decode(kept.read_bytes(), type=list[_Entry])
    else:
        entries = _measure(path, featurizer, by_task, breaking)
        CACHE.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(".part")
        part.write_bytes(msgspec.msgpack.encode(entries))
        part.replace(kept)
        for stale in CACHE.glob(f"{stem}-*.msgpack"):
            if stale != kept:
                stale.unlink(missing_ok=True)
    corpora = {}
    for entry in entries:
        batches = [message for message in map(decode_message, entry.messages) if isinstance(message, FeatureBatch)]
        corpora[entry.name] = Corpus(entry.name, concat(batches), entry.tasks, np.asarray(entry.prompts))
    return corpora


def _measure(path: Path, featurizer: Featurizer, by_task: bool, breaking: bool) -> list[_Entry]:
    rng = np.random.default_rng(7)
    numbers: dict[str, int] = {}
    groups: dict[str, list[OutputEvent]] = {}
    for event in read_events(path):
        if not isinstance(event, OutputEvent):
            raise event
        model = (event.model or Model()).name
        name = f"{event.attributes['task']}/{model}" if by_task else str(model)
        own = groups.setdefault(name, [])
        own.append(_break(event, len(own) % len(BROKEN), rng) if breaking else event)
    entries = []
    for name, events in groups.items():
        batch = concat(
            [
                featurizer.featurize(events[start : start + MICRO_BATCH], source=path.name)
                for start in range(0, len(events), MICRO_BATCH)
            ]
        )
        prompts = [numbers.setdefault(event.input or "", len(numbers)) for event in events]
        tasks = [str(event.attributes.get("task", "")) for event in events]
        entries.append(_Entry(name, tasks, prompts, encode(batch)))
    return entries


def _break(event: OutputEvent, kind: int, rng: np.random.Generator) -> OutputEvent:
    text = event.output or ""
    words = text.split(" ")
    cut = " ".join(words[: max(1, int(len(words) * rng.uniform(0.1, 0.6)))])
    output = ("", cut, str(rng.choice(ERRORS)))[kind]
    return msgspec.structs.replace(event, output=output)


def _fingerprint(path: Path, featurizer: Featurizer) -> str:
    digest = hashlib.blake2b(digest_size=8)
    digest.update(path.read_bytes())
    for folder in ("features", "events"):
        for source in sorted((ROOT / "monitor" / folder).rglob("*")):
            if source.is_file() and source.suffix != ".pyc":
                digest.update(source.read_bytes())
    digest.update(Path(__file__).read_bytes())
    digest.update(repr(featurizer.specs).encode())
    return digest.hexdigest()


def drawn(
    batch: FeatureBatch,
    rows: NDArray[np.intp],
    tag: str,
    segments: Sequence[dict[str, str]] | None = None,
    times: NDArray[np.float64] | None = None,
) -> FeatureBatch:
    """These rows as new events of a stream: ids of their own, no names of models, no excerpts, no times unless given.

    `segments` are what attribution may name, one mapping a row; none are given by default, so that nothing but the
    outputs themselves can tell.
    """
    n = len(rows)
    return FeatureBatch(
        names=batch.names,
        values=batch.values[rows],
        streams=["benchmark"] * n,
        ids=[f"{tag}{i}" for i in range(n)],
        times=np.full(n, np.nan) if times is None else times,
        digests=batch.digests[rows],
        source="benchmark",
        source_partitions=np.zeros(n, np.int32),
        source_offsets=np.arange(n, dtype=np.int64),
        segments=[{}] * n if segments is None else segments,
        input_excerpts=[""] * n,
        output_excerpts=[""] * n,
        categories={name: [column[i] for i in rows] for name, column in batch.categories.items()},
        embeddings=None if batch.embeddings is None else batch.embeddings[rows],
    )


def together(corpora: Iterable[Corpus]) -> FeatureBatch:
    """Rows of several corpora, one after another."""
    return concat([corpus.batch for corpus in corpora])
