"""Fits the implicit part of the refusal features and writes `monitor/features/data/refusal_model.tsv.gz`.

    python -m scripts.build_refusal_model ../shared/data

What it learns from (see that folder's README for sources and licences):

- LLMDrift's sensitive questions: answers that people marked as refusals. Most refuse explicitly and then say why. The
  explicit clause is taken out, and what is left (`such behaviour is illegal and unethical, it is important to ...`)
  stands for a refusal that never says so: distant supervision (Mintz et al. 2009).
- XSTest completions (Roettger et al. 2024) with people's labels, likewise without their explicit clauses.
- Openings of AlpacaEval outputs, as what ordinary answers look like.

A logistic regression with an L2 penalty over the distinct words and pairs of words of the first 80 words. Settings and
threshold come from cross-validation by prompt inside the training data. `fit(root, without="gpt4")` leaves a model's
completions out, also where other sources have that model's family, so that it can be judged on them;
`benchmarks/features.py` does so.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from monitor.features.families.refusal import WORDS, RefusalModel, token
from monitor.features.text.wordpiece import split_chunks

OUT = Path(__file__).resolve().parents[1] / "monitor" / "features" / "data" / "refusal_model.tsv.gz"

# The model family's name in the other sources, by XSTest's name.
FAMILY = {"gpt4": ("gpt-4", "gpt4"), "mistralinstruct": ("mistral", "mixtral")}

PENALTY = 0.01  # scikit-learn's C
XSTEST_WEIGHT = 10.0  # few, and of the kind that is hard
MIN_TEXTS = 5  # an n-gram in fewer texts is left out
ORDINARY = 3000
FOLDS = 5
_SEED = 0
_LEFT_OVER = 6  # n-grams that a refusal must keep without its explicit clause to teach anything

_NEGATED = (
    r"(?:can(?:no|')?t|can not|won't|will not|do not|don't|could not|couldn't|am not able to|'m not able to|"
    r"am unable to|'m unable to|unable to|not able to)"
)
_CLAUSE_END = r"(?=[.;]|\bas it\b|\bbecause\b|$)"
_EXPLICIT_CLAUSE = re.compile(
    rf"(?:i'?m (?:really |very |truly )?sorry|i am (?:really |very )?sorry|sorry|my apologies|i apologi[sz]e|"
    rf"unfortunately)[^.;]{{0,300}}?{_CLAUSE_END}"
    rf"|\b(?:i|we)\s*{_NEGATED}[^.;]{{0,300}}?{_CLAUSE_END}"
    r"|\bas an? (?:ai|artificial|responsible|language|helpful)[^,.;]{0,100}"
)


def read(path: Path) -> list[dict[str, Any]]:
    """Rows of a compressed JSON-lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def grams(text: str) -> list[str]:
    """Distinct tokens and pairs of neighbours in the first words of a text without its explicit clauses."""
    plain = text[:2000].replace("\u2019", "'").lower()
    tokens = [token(chunk) for chunk in split_chunks(_EXPLICIT_CLAUSE.sub(" | ", plain))[:WORDS]]
    pairs = [f"{first} {second}" for first, second in pairwise(tokens) if first and second]
    return sorted({word for word in tokens if word} | set(pairs))


class Texts:
    """Training texts: distinct n-grams, label, prompt (the unit of cross-validation), and whether from XSTest."""

    def __init__(self, root: Path, without: str | None) -> None:
        shun = FAMILY[without] if without else ()

        def allowed(model: str) -> bool:
            return not model.lower().startswith(shun) if shun else True

        self.grams: list[list[str]] = []
        self.refused: list[bool] = []
        self.prompts: list[str] = []
        self.xstest: list[bool] = []
        for row in read(root / "llmdrift.jsonl.gz"):
            if row["task"] == "sensitiveq" and allowed(row["model"]) and row.get("response_rate") is not None:
                self._add(row, refused=row["response_rate"] == 0, xstest=False)
        ordinary = [row for row in read(root / "alpacaeval.jsonl.gz") if allowed(row["model"])]
        for row in random.Random(_SEED).sample(ordinary, ORDINARY):
            self._add(row, refused=False, xstest=False)
        for row in read(root / "xstest_refusals.jsonl.gz"):
            if row["model"] != without:
                self._add(row, refused=row["label"] != "1_full_compliance", xstest=True)

    def _add(self, row: dict[str, Any], *, refused: bool, xstest: bool) -> None:
        found = grams(row["output"])
        if refused and len(found) < _LEFT_OVER:
            return
        self.grams.append(found)
        self.refused.append(refused)
        self.prompts.append(row["prompt"])
        self.xstest.append(xstest)


def _matrix(texts: list[list[str]], columns: dict[str, int]) -> csr_array:
    rows = [[columns[gram] for gram in text if gram in columns] for text in texts]
    ends = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int32)
    flat = np.array([column for row in rows for column in row], dtype=np.int32)
    return csr_array((np.ones(len(flat)), flat, ends), shape=(len(texts), len(columns)))


def _regression(
    texts: list[list[str]], refused: NDArray[np.bool_], xstest: NDArray[np.bool_]
) -> tuple[dict[str, int], LogisticRegression]:
    counts = Counter(gram for text in texts for gram in text)
    columns = {gram: n for n, gram in enumerate(sorted(gram for gram, count in counts.items() if count >= MIN_TEXTS))}
    weight = np.where(xstest, XSTEST_WEIGHT, 1.0)
    weight[refused] *= weight[~refused].sum() / weight[refused].sum()
    regression = LogisticRegression(C=PENALTY, solver="liblinear", max_iter=3000)
    regression.fit(_matrix(texts, columns), refused, sample_weight=weight)
    return columns, regression


def _threshold(refused: NDArray[np.bool_], margin: NDArray[np.float64]) -> float:
    """Middle of the range of thresholds whose F1 is within 0.02 of the best."""
    order = np.argsort(-margin)
    hits = np.cumsum(refused[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + refused.sum())
    good = margin[order][f1 >= f1.max() - 0.02]
    return float((good.min() + good.max()) / 2)


def fit(root: Path, without: str | None = None) -> RefusalModel:
    """The model, from the files in `root`, less the XSTest model `without` and its family."""
    texts = Texts(root, without)
    refused = np.array(texts.refused)
    xstest = np.array(texts.xstest)
    margin = np.zeros(len(refused))
    for train, held_out in GroupKFold(FOLDS).split(texts.grams, groups=texts.prompts):
        columns, regression = _regression([texts.grams[i] for i in train], refused[train], xstest[train])
        margin[held_out] = regression.decision_function(_matrix([texts.grams[i] for i in held_out], columns))
    threshold = _threshold(refused[xstest], margin[xstest])
    columns, regression = _regression(texts.grams, refused, xstest)
    bias = float(regression.intercept_[0]) - threshold
    weights = {gram: float(regression.coef_[0][column]) for gram, column in columns.items()}
    words: dict[str, float] = {}
    pairs: dict[tuple[str, str], float] = {}
    for gram, weight in weights.items():
        first, _, second = gram.partition(" ")
        if abs(weight) < 0.005:
            continue
        if second:
            pairs[first, second] = round(weight, 4)
        else:
            words[first] = round(weight, 4)
    return RefusalModel(round(bias, 4), words, pairs)


def main() -> None:
    """Fit on everything and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder with the data sets")
    model = fit(parser.parse_args().root)
    grams = {**model.words, **{" ".join(pair): weight for pair, weight in model.pairs.items()}}
    lines = [f"bias\t{model.bias}\n", *(f"{gram}\t{weight}\n" for gram, weight in sorted(grams.items()))]
    with OUT.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as packed:
        packed.write("".join(lines).encode("utf-8"))
    print(f"{OUT}: {len(model.words)} words, {len(model.pairs)} pairs, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
