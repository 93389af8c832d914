"""What the features cost: the one pass over the words, each family, hostile texts; and input noise against its data.

    python -m benchmarks.words [--data ../shared/data]

Outputs: AlpacaEval results of 12 models (github.com/tatsu-lab/alpaca_eval, folder `results`). Messages: LexNorm2015,
the W-NUT 2015 shared task on Twitter text normalisation (noisy-text.github.io/2015/norm-shared-task.html). CPU seconds
of one process are given, so a busy machine matters less; set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.report import Report
from monitor.events.schema import OutputEvent
from monitor.features.base import Extractor
from monitor.features.families.noise import Noise
from monitor.features.registry import default_extractors
from monitor.features.text.word_table import WordTable
from monitor.features.text.words import EventBatch, table_for

BATCH = 256
SIZES = (250_000, 500_000, 1_000_000)

HOSTILE: Mapping[str, Callable[[int], str]] = {
    "prose": lambda n: "The model said it all before, and then some more of it.\n" * (n // 56),
    "one line of letters": lambda n: "x" * n,
    "one line of marks": lambda n: "*`_#" * (n // 4),
    "different words": lambda n: " ".join(f"w{i}" for i in range(n // 8)),
    "the same word": lambda n: "again " * (n // 6),
    "nested JSON": lambda n: "[" * (n // 2) + "]" * (n // 2),
    "opened objects": lambda n: '{"a":' * (n // 5),
    "opened fences": lambda n: "```python\n" * (n // 10),
    "opened links": lambda n: "[a](" * (n // 4),
    "blank lines": lambda n: "\n" * n,
    "nulls": lambda n: "a\x00b \x00 " * (n // 6),
    "lone surrogates": lambda n: "half \ud83d a \udc00 pair " * (n // 17),
    "right to left": lambda n: "\u0645\u0631\u062d\u0628\u0627 \u202e\u05e9\u05dc\u05d5\u05dd " * (n // 12),
    "emoji": lambda n: "\U0001f468\u200d\U0001f469\u2764\ufe0f " * (n // 6),
    "ideographs": lambda n: "\u4eca\u5929\u5929\u6c14\u5f88\u597d\u3002" * (n // 7),
    "combining marks": lambda n: "a" + "\u0301" * n,
}


def events_of(path: Path) -> list[OutputEvent]:
    """Outputs with their instructions, models mixed by instruction as in real traffic."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    order = np.random.default_rng(0).permutation(len(rows))
    return [OutputEvent(id=str(i), stream="s", output=rows[i]["output"], input=rows[i]["prompt"]) for i in order]


def batches(events: list[OutputEvent], table: WordTable) -> Iterator[EventBatch]:
    """Micro-batches of 256."""
    for start in range(0, len(events), BATCH):
        yield EventBatch(events[start : start + BATCH], table)


def cost_by_part(events: list[OutputEvent], families: tuple[Extractor, ...], table: WordTable) -> dict[str, float]:
    """CPU microseconds an event of each shared step and of what each family adds, in the order they run."""
    shared: dict[str, Callable[[EventBatch], object]] = {
        "split and look up, output": lambda batch: batch.output,
        "split and look up, input": lambda batch: batch.input,
        "sums of word columns": lambda batch: (batch.output.sums, batch.input.sums),
        "embedding, output and input": lambda batch: (batch.output_embedding, batch.input_embedding),
        "trigrams": lambda batch: batch.trigrams,
    }
    spent: defaultdict[str, float] = defaultdict(float)
    for batch in batches(events, table):
        last = time.process_time()
        for name, step in shared.items():
            step(batch)
            spent[name] += (now := time.process_time()) - last
            last = now
        for family in families:
            family.extract(batch)
            spent[f"family {family.family}, {family.features[0].side}"] += (now := time.process_time()) - last
            last = now
    return {name: seconds / len(events) * 1e6 for name, seconds in spent.items()}


def hostile_seconds(text: str, families: tuple[Extractor, ...]) -> float:
    """CPU seconds for one event with this text as output and as input, with a new table."""
    table = table_for(families)
    start = time.process_time()
    batch = EventBatch([OutputEvent(stream="s", output=text, input=text)], table)
    for family in families:
        family.extract(batch)
    return time.process_time() - start


def noise_of(texts: list[str]) -> np.ndarray:
    """`input.noise.score` of messages."""
    family = Noise()
    events = [OutputEvent(stream="s", output="", input=text) for text in texts]
    return np.asarray(family.extract(EventBatch(events, table_for([family])))["input.noise.score"])


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--markdown", type=Path, help="write the tables there too")
    options = parser.parse_args()
    report = Report(Console())

    families = default_extractors()
    events = events_of(options.data / "alpacaeval.jsonl.gz")
    table = table_for(families)
    cost_by_part(events[:64], families, table)  # lexicons are read on first use
    cold = cost_by_part(events[: len(events) // 2], families, table)
    fresh = cost_by_part(events[len(events) // 2 :], families, table)
    warm = cost_by_part(events[len(events) // 2 :], families, table)
    rows: list[tuple[object, ...]] = [
        (name, f"{cold[name]:.1f}", f"{fresh[name]:.1f}", f"{warm[name]:.1f}") for name in cold
    ]
    rows.append(("together", *(f"{sum(column.values()):.0f}" for column in (cold, fresh, warm))))
    chars = np.mean([len(event.output or "") for event in events])
    report.table(
        "Cost of the features on one core",
        ("us per event", "first 4,830 outputs", "next 4,830", "the same again"),
        rows,
        note=f"AlpacaEval outputs of {chars:,.0f} characters, batches of {BATCH}; the word memory is empty at first",
    )

    rows = []
    for name, make in HOSTILE.items():
        seconds = [min(hostile_seconds(make(size), families) for _ in range(2)) for size in SIZES]
        rows.append((name, *(f"{s:.2f}" for s in seconds), f"{seconds[-1] / seconds[-2]:.1f}"))
    report.table(
        "Hostile texts, as output and as input at once",
        ("CPU seconds", *(f"{size // 1000:,} kB" for size in SIZES), "twice the text, times the cost"),
        rows,
    )

    with gzip.open(options.data / "lexnorm2015_slang.jsonl.gz", "rt", encoding="utf-8") as lines:
        pairs = [(row["text"], row["normalised"]) for row in map(json.loads, lines)]
    pairs = [pair for pair in pairs if pair[0].lower() != pair[1].lower()]
    rows = []
    for name, half in (("half that constants were chosen on", pairs[::2]), ("other half", pairs[1::2])):
        written, normal = (noise_of(list(side)) for side in zip(*half, strict=True))
        rows.append((name, len(half), f"{(written > normal).mean():.1%}", f"{(written < normal).mean():.1%}"))
    report.table(
        "Input noise of a misspelt message against its normal form",
        ("pairs that differ in more than case", "pairs", "higher", "lower"),
        rows,
        note="asked: higher in 75 %, lower in at most 2 %; a word-frequency list alone: 66 %, 0.3 %",
    )
    if options.markdown:
        report.write(options.markdown)


if __name__ == "__main__":
    main()
