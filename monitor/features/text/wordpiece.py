"""WordPiece ids of single whitespace-separated chunks, exactly those that all-MiniLM-L6-v2's tokenizer gives.

BERT's normaliser and pre-tokenizer work within whitespace (lower-casing, accent stripping, isolation of punctuation and
CJK characters), so the pieces of a text are the pieces of its chunks, one after the other. That lets a chunk's pieces
be looked up once and kept. Plain ASCII chunks, nearly all of English, are cut here; the rest goes to `tokenizers`.

Source of the algorithm: Devlin et al., BERT (2019); of the vocabulary: bert-base-uncased (Apache-2.0).
May import `monitor.errors` only.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_MAX_SEGMENT = 100  # BERT: a longer word is unknown as a whole
_SPECIAL = re.compile(r"\[(?:PAD|UNK|CLS|SEP|MASK)\]")
# the unified ideographs, which Unicode does not decompose; the rarer blocks take the slow way
_IDEOGRAPH = re.compile("[\u4e00-\u9fff]")
_IDEOGRAPHS_AND_OTHERS = re.compile("([\u4e00-\u9fff]+)|([^\u4e00-\u9fff]+)")
_SEGMENT = re.compile(r"[a-z0-9]+|[^a-z0-9]")
_CACHED_SEGMENTS = 1 << 16  # bounds the memory: when as many are known, all are forgotten

NOT_SPACE = "\x0b\x0c\x1c\x1d\x1e\x1f\x85"
"""Control characters that `str.split` takes for whitespace and BERT's normaliser drops without a trace."""
_DROP_NOT_SPACE = dict.fromkeys(map(ord, NOT_SPACE))


def split_chunks(text: str) -> list[str]:
    """Whitespace-separated chunks of a text, cut where BERT's tokenizer sees whitespace."""
    if (
        "\x0c" in text
        or "\x0b" in text
        or "\x1c" in text
        or "\x1d" in text
        or "\x1e" in text
        or "\x1f" in text
        or "\x85" in text
    ):
        text = text.translate(_DROP_NOT_SPACE)
    return text.split()


class WordPiece:
    """Cuts one chunk into WordPiece ids; pure, with a bounded memory of segments that only saves time."""

    def __init__(self, vocabulary: list[str]) -> None:
        self.vocabulary = {piece: row for row, piece in enumerate(vocabulary)}
        self.unknown = self.vocabulary["[UNK]"]
        """The id of whatever the vocabulary has no pieces for."""
        tokenizer = Tokenizer(
            models.WordPiece(self.vocabulary, unk_token="[UNK]", max_input_chars_per_word=_MAX_SEGMENT)
        )
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.add_special_tokens(list(SPECIAL))
        self._tokenizer = tokenizer
        self._segments: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self.vocabulary)

    def pieces(self, chunk: str) -> list[int]:
        """Ids of a chunk without whitespace; empty where the normaliser drops every character."""
        if not chunk.isascii():
            if _IDEOGRAPH.search(chunk) is None:
                return self._encode(chunk)
            # each ideograph is a word by itself; asking the dictionary is forty times faster than the tokenizer
            get, unknown = self.vocabulary.get, self.unknown
            ideographs: list[int] = []
            for run, other in _IDEOGRAPHS_AND_OTHERS.findall(chunk):
                if run:
                    ideographs += [get(character, unknown) for character in run]
                else:
                    ideographs += self._other(other)
            return ideographs
        if not chunk.isprintable() or ("[" in chunk and _SPECIAL.search(chunk)):
            return self._encode(chunk)
        lowered = chunk.lower()
        whole = self.vocabulary.get(lowered)
        if whole is not None and lowered.isalnum():
            return [whole]
        # most of the rest is a word with one mark after it
        word = lowered[:-1]
        if word.isalnum():
            if lowered.isalnum():
                return self._segment(lowered)
            return [*self._segment(word), self.vocabulary[lowered[-1]]]
        found: list[int] = []
        for segment in _SEGMENT.findall(lowered):
            found += self._segment(segment)
        return found

    def _encode(self, chunk: str) -> list[int]:
        # lone surrogates cannot be encoded; BERT's normaliser drops them like other unassigned characters
        clean = chunk.encode("utf-8", "ignore").decode("utf-8")
        ids: list[int] = self._tokenizer.encode(clean, add_special_tokens=False).ids
        return ids

    def _other(self, segment: str) -> list[int]:
        """What stands between ideographs, mostly the same few marks."""
        if len(segment) > _MAX_SEGMENT:
            return self._encode(segment)
        known = self._segments.get(segment)
        if known is None:
            known = self._encode(segment)
            self._keep(segment, known)
        return known

    def _keep(self, segment: str, ids: list[int]) -> None:
        if len(self._segments) >= _CACHED_SEGMENTS:
            self._segments.clear()
        self._segments[segment] = ids

    def _segment(self, segment: str) -> list[int]:
        whole = self.vocabulary.get(segment)
        if whole is not None:
            return [whole]
        known = self._segments.get(segment)
        if known is None:
            known = self._cut(segment)
            if len(segment) <= _MAX_SEGMENT:
                self._keep(segment, known)
        return known

    def _cut(self, segment: str) -> list[int]:
        """Greedy longest match first."""
        if len(segment) > _MAX_SEGMENT:
            return [self.unknown]
        found: list[int] = []
        start = 0
        while start < len(segment):
            prefix = "##" if start else ""
            for end in range(len(segment), start, -1):
                row = self.vocabulary.get(prefix + segment[start:end])
                if row is not None:
                    found.append(row)
                    start = end
                    break
            else:
                return [self.unknown]
        return found


@cache
def default_vocabulary() -> list[str]:
    """The 30,522 pieces of bert-base-uncased, as all-MiniLM-L6-v2 uses them; row i is piece id i."""
    text = resources.files("monitor.features").joinpath("data/wordpiece_vocab.txt").read_text("utf-8")
    return text.removesuffix("\n").split("\n")
