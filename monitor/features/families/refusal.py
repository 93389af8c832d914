"""Does the output refuse what was asked? Explicitly, or by advice and admonition in place of an answer.

Two readings, of which the stronger counts:

- explicit: a sentence of the speaker declines (`monitor.features.text.refusals`, in 26 languages); only those few
  outputs are read that hold a word of declining;
- implicit: a linear model over words and pairs of words of the first 80 words (`illegal and`, `goes against`,
  `important to`), fitted to the sentences that stand *beside* an explicit refusal, with the explicit part taken out,
  against the openings of ordinary answers. Moralising alone, without any answer, is then what it knows.
  `scripts/build_refusal_model.py` fits it and says on what; `benchmarks/features.py` reports it for each model's
  completions, fitted without that model. English.

May import `monitor.features.base`, the family `language` and `monitor.features.text`.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from monitor.features.base import Column, FeatureSpec, Kind, Role, Worse
from monitor.features.families.language import SURE, is_english, language_at
from monitor.features.families.language import WORD_COLUMNS as LANGUAGE_COLUMNS
from monitor.features.text.refusals import declines, may_decline
from monitor.features.text.words import EventBatch, TextBatch

Float = NDArray[np.float64]

WORDS = 80  # what a refusal needs to show itself; a longer prefix added nothing
_LONGEST_TOKEN = 24  # characters: nearly no English word is longer
_ROWS = 256  # texts scored at once: bounds the memory of a very large batch
_EXPLICIT_SCORE = 0.98  # a refusal in plain words is nearly certain, and counts so in means of scores
_SIGNAL_READ = 2_000  # characters of a chunk that are read: a whole answer in scripts without spaces

# An English output without any of these tokens or pairs in its opening is not read by `declines`: every way in which it
# finds a refusal needs one.
_DECLINING_WORDS = (
    "cannot", "can't", "cant", "couldn't", "won't", "wont", "wouldn't", "shouldn't", "unable", "incapable", "decline",
    "declining", "declined", "refuse", "refusing", "afraid", "uncomfortable", "programmed", "guidelines", "guideline",
    "policy", "policies", "violates", "violate", "violating", "violation", "prohibits", "prohibit", "prohibited",
    "forbids", "forbidden", "permitted", "filtered", "blocked", "rejected", "flagged", "withheld", "refrain",
    "abstain", "condone", "instructed", "irresponsible", "inappropriate", "unethical",
)  # fmt: skip
_DECLINING_PAIRS = (
    ("can", "not"), ("could", "not"), ("will", "not"), ("would", "not"), ("should", "not"), ("i", "don't"),
    ("i", "do"), ("not", "able"), ("not", "going"), ("not", "designed"), ("not", "allowed"), ("not", "authorized"),
    ("not", "something"), ("not", "willing"), ("isn't", "something"), ("just", "an"), ("within", "my"),
    ("against", "my"), ("against", "our"), ("rather", "not"), ("prefer", "not"), ("prefer", "to"), ("i'd", "prefer"),
    ("i'd", "rather"), ("can", "only"), ("no", "can"), ("pass", "on"), ("hard", "pass"), ("so", "no"), ("not", "to"),
    ("something", "else"), ("bound", "by"), ("no", "intention"), ("been", "told"), ("been", "asked"), ("here", "to"),
    ("no", "way"), ("outside", "my"), ("outside", "of"), ("outside", "what"), ("beyond", "what"), ("beyond", "my"),
    ("i", "must"), ("say", "no"), ("turn", "down"), ("i", "lack"), ("i'll", "pass"), ("feel", "comfortable"),
    ("not", "comfortable"), ("have", "no"), ("not", "appropriate"), ("not", "ethical"), ("not", "possible"),
    ("isn't", "possible"), ("be", "appropriate"), ("nothing", "i"), ("is", "something"), ("only", "answer"),
    ("only", "help"), ("to", "avoid"), ("must", "avoid"), ("of", "reach"), ("not", "in"), ("not", "here"),
    ("i'm", "not"), ("am", "not"), ("outside", "the"), ("beyond", "the"), ("only", "able"),
    ("don't", "have"), ("only", "assist"), ("limited", "to"), ("form", "opinions"), ("personal", "opinions"),
)  # fmt: skip
_EDGES = ".,!?;:\"()*#[]_-`'\u201c\u201d\u2018\u2026"


def _signal(chunk: str) -> float:
    """Whether a chunk may be part of a refusal in a language other than English."""
    return float(may_decline(chunk[:_SIGNAL_READ].lower().replace("\u2019", "'")))


def token(chunk: str) -> str:
    """What the model sees of a chunk: lower case, plain apostrophe, no punctuation at its ends; may be empty."""
    return chunk[: 2 * _LONGEST_TOKEN].replace("\u2019", "'").lower().strip(_EDGES)[:_LONGEST_TOKEN]


@dataclass(frozen=True, slots=True)
class RefusalModel:
    """Weights of tokens and of pairs of tokens; their sum over the distinct ones of a prefix, plus `bias`.

    The sum is scaled so that 0 is the threshold of the flag.
    """

    bias: float
    words: Mapping[str, float]
    pairs: Mapping[tuple[str, str], float]


def read_model(text: str) -> RefusalModel:
    """A model as the build script writes it: `bias`, a tab and a number, then n-grams, each with its weight."""
    head, *lines = text.splitlines()
    words: dict[str, float] = {}
    pairs: dict[tuple[str, str], float] = {}
    for line in lines:
        gram, _, weight = line.partition("\t")
        first, _, second = gram.partition(" ")
        if second:
            pairs[first, second] = float(weight)
        else:
            words[first] = float(weight)
    return RefusalModel(float(head.partition("\t")[2]), words, pairs)


@cache
def default_model() -> RefusalModel:
    """The model shipped with the package; read once per process."""
    packed = resources.files("monitor.features").joinpath("data/refusal_model.tsv.gz").read_bytes()
    return read_model(gzip.decompress(packed).decode("utf-8"))


def _language_of(text: TextBatch, row: int) -> str | None:
    """The language of a text that is not clearly English; None where it is unknown."""
    code, certainty = language_at(text, row)
    return code if certainty >= SURE else None


class Refusal:
    """Family `refusal`; its features are named `output.tone.refusal` and `output.tone.refusal_score`.

    Parameters
    ----------
    model
        The implicit reading; the shipped one by default.
    """

    family = "refusal"
    features = (
        FeatureSpec(
            "output.tone.refusal", Kind.FLAG,
            "the output declines, or moralises in place of an answer: users do not get what they asked for",
            worse=Worse.UP, role=Role.REFUSAL, lead=0,
        ),
        FeatureSpec(
            "output.tone.refusal_score", Kind.NUMBER,
            "how much the opening reads like a refusal, 0 to 1; the flag is set from 0.5",
            worse=Worse.UP, role=Role.REFUSAL, lead=0,
        ),
    )  # fmt: skip

    def __init__(self, model: RefusalModel | None = None) -> None:
        self._model = default_model() if model is None else model
        weight_of = {**dict.fromkeys(_DECLINING_PAIRS, 0.0), **self._model.pairs}
        known = {*self._model.words, *_DECLINING_WORDS, *(word for pair in weight_of for word in pair)}
        # ids of tokens: 0 is a token the model does not know, 1 one that is only punctuation; pairs are numbered after
        self._ids = {word: number for number, word in enumerate(sorted(known - {""}), start=2)}
        size = len(self._ids) + 2
        pairs = sorted(weight_of)
        self._weights = np.zeros(size + len(pairs))
        for word, weight in self._model.words.items():
            self._weights[self._ids[word]] = weight
        self._weights[size:] = [weight_of[pair] for pair in pairs]
        # pairs are looked up in a table of first by second tokens, of those tokens alone that begin or end a pair
        self._row, self._column = np.zeros((2, size), dtype=np.int64)
        for side, position in ((self._row, 0), (self._column, 1)):
            side[[self._ids[word] for word in sorted({pair[position] for pair in pairs})]] = np.arange(
                1, len({pair[position] for pair in pairs}) + 1
            )
        self._pair = np.zeros((self._row.max() + 1, self._column.max() + 1), dtype=np.int32)
        for number, (first, second) in enumerate(pairs, start=size):
            self._pair[self._row[self._ids[first]], self._column[self._ids[second]]] = number
        self._declining = np.zeros(size + len(pairs), dtype=np.bool_)
        self._declining[[self._ids[word] for word in _DECLINING_WORDS]] = True
        self._declining[[size + pairs.index(pair) for pair in _DECLINING_PAIRS]] = True
        # where a text's feature was seen first; a call reads only the cells that it wrote itself
        self._seen = np.empty(_ROWS * len(self._weights), dtype=np.int32)
        self.word_columns: Mapping[str, Callable[[str], float]] = {
            "refusal.token": self._token_id,
            "refusal.signal": _signal,
            **LANGUAGE_COLUMNS,
        }

    def _token_id(self, chunk: str) -> float:
        word = token(chunk)
        return float(self._ids.get(word, 0)) if word else 1.0

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Flag and score; NaN where there is no output, 0 where it is empty."""
        score = self.scores(batch.output)
        return {
            "output.tone.refusal": batch.output.masked(score >= 0.5),
            "output.tone.refusal_score": batch.output.masked(score),
        }

    def scores(self, text: TextBatch) -> Float:
        """Score of each text, 0 to 1; 0 for a text without words."""
        prefix = np.flatnonzero(text.position < WORDS)
        feature, row = self._features(text.values("refusal.token")[prefix].astype(np.int64), text.text_of[prefix])
        score = 1.0 / (1.0 + np.exp(-self._margin(feature, row, text.n)))
        score[np.diff(text.offsets) == 0] = 0.0
        suspects = np.zeros(text.n, dtype=np.bool_)
        suspects[row[self._declining[feature]]] = True
        english = is_english(text)
        suspects |= ~english & (text.sums["refusal.signal"] > 0)
        for suspect in np.flatnonzero(suspects).tolist():
            if declines(text.texts[suspect] or "", "en" if english[suspect] else _language_of(text, suspect)):
                score[suspect] = max(score[suspect], _EXPLICIT_SCORE)
        return score

    def _features(
        self, ids: NDArray[np.int64], text_of: NDArray[np.int32]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of the tokens and known pairs in the prefixes, and the text of each."""
        pair = self._pair[self._row[ids[:-1]], self._column[ids[1:]]]
        pair[text_of[1:] != text_of[:-1]] = 0
        known = np.flatnonzero(pair)
        feature = np.concatenate([ids, pair[known]])
        return feature, np.concatenate([text_of, text_of[known]]).astype(np.int64)

    def _margin(self, feature: NDArray[np.int64], row: NDArray[np.int64], n: int) -> Float:
        """Sum of the weights of the distinct features of each text, plus the bias."""
        margin = np.full(n, self._model.bias)
        heavy = self._weights[feature] != 0
        feature, row = feature[heavy], row[heavy]
        order = np.arange(len(feature), dtype=np.int32)
        for start in range(0, n, _ROWS):
            inside = np.flatnonzero((row >= start) & (row < start + _ROWS))
            cell = (row[inside] - start) * len(self._weights) + feature[inside]
            self._seen[cell[::-1]] = order[inside][::-1]  # the first occurrence is written last
            first = inside[self._seen[cell] == order[inside]]
            margin += np.bincount(row[first], weights=self._weights[feature[first]], minlength=n)
        return margin
